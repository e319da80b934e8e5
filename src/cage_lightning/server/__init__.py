"""The local page: a picture, a video or the webcam in the browser, a model in this process.

`looking` says what is in a picture, and `http` lets the page (page.html, page.css, page.js) ask for
it. Pictures are bytes in memory: none is written to a file, and no request names one. A video stays
in the browser, which sends single frames.
"""
