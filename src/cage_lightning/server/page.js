// The page: a picture, a video or the webcam, and what the model says about it.
"use strict";

const byId = (id) => document.getElementById(id);
const [stage, screen, picture, video] = ["stage", "screen", "picture", "video"].map(byId);

// Those of Okabe and Ito, which people who are colour-blind can tell apart, and two more: all light
// enough for dark figures.
const COLOURS = [
  "#56b4e9", "#f0e442", "#e69f00", "#cc79a7", "#00be8c", "#ff8a5c", "#aa8cff", "#c8c8c8",
];
const LONGEST_SIDE = 1280; // pixels of a frame that is sent
const SMALL = 320; // CSS pixels: a smaller picture is shown enlarged
const TRAIL = 25; // points behind the one that moves
const NARROW = 110; // CSS pixels: a narrower box has only its number beside it

let about; // what the model infers
let shown = null; // the answer that is seen
let chosen = null; // the number of the face whose probabilities are seen
let source = 0; // counts what was chosen: an answer about something else is dropped
let address = null; // of the file in this browser
const trails = new Map();

function say(text, wrong = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("wrong", wrong);
}

function make(name, attributes = {}, ...children) {
  const svg = ["g", "circle", "path", "text"].includes(name);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function coloured(element, number) {
  element.style.setProperty("--face", COLOURS[(number - 1) % COLOURS.length]);
  element.classList.toggle("chosen", number === chosen);
  return element;
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
const inMegabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

// What the model says, in words.

function title(name) {
  return name[0].toUpperCase() + name.slice(1);
}

function categoryOf(face) {
  if (face.category === null) return "";
  return about.several ? face.category.join(", ") || "none" : face.category;
}

function likelihoodOf(face) {
  return about.several || face.probabilities === null
    ? ""
    : percent(Math.max(...face.probabilities));
}

function wordsOf(face) {
  if (face.category === null) return face.affect.slice(0, 2).map(signed).join(" / ");
  if (!about.several) return `${face.category} ${likelihoodOf(face)}`;
  const [first = "none", ...others] = face.category;
  return others.length ? `${first} +${others.length}` : first;
}

// Asking the model.

async function ask(body, stream) {
  const headers = stream ? { "X-Stream": stream } : {};
  let answer;
  try {
    answer = await fetch("faces", { method: "POST", body, headers });
  } catch {
    throw new Error("The program behind this page does not answer: is it still running?");
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function show(found, stream) {
  shown = found;
  shown.faces.forEach((face, index) => (face.number = (face.track ?? index) + 1));
  if (!shown.faces.some((face) => face.number === chosen)) {
    chosen = shown.faces[0]?.number ?? null;
  }
  if (stream) shown.faces.forEach(extendTrail);
  const { length } = shown.faces;
  const [one, many] = about.subject;
  if (found.found > length) say(`${found.found} ${many}; shown are the largest ${length}.`);
  else say(length === 0 ? `No ${one} was found.` : length === 1 ? `One ${one}.` : `${length} ${many}.`);
  draw();
}

function extendTrail({ number, affect }) {
  if (affect) trails.set(number, [...(trails.get(number) ?? []), placed(affect)].slice(-TRAIL));
}

// Drawing.

function draw() {
  byId("results").hidden = shown.faces.length === 0;
  drawBoxes();
  drawTable();
  drawProbabilities();
  drawCircumplex();
}

function drawBoxes() {
  const scale = screen.clientWidth / shown.width;
  const boxes = shown.faces.map((face) => {
    const [left, top, right, bottom] = face.box;
    const box = coloured(make("div", { class: "box" }), face.number);
    box.style.left = `${(100 * left) / shown.width}%`;
    box.style.top = `${(100 * top) / shown.height}%`;
    box.style.width = `${(100 * (right - left)) / shown.width}%`;
    box.style.height = `${(100 * (bottom - top)) / shown.height}%`;
    return box;
  });
  byId("boxes").replaceChildren(...boxes);
  const labels = shown.faces.map((face) => {
    const number = make("span", { class: "number" }, String(face.number));
    const label = coloured(make("div", { class: "label" }, number), face.number);
    if (scale * (face.box[2] - face.box[0]) >= NARROW) label.append(wordsOf(face));
    byId("boxes").append(label);
    return label;
  });
  labels.forEach((label, index) => placeLabel(label, shown.faces[index].box, scale));
}

// Above its box, or inside where there is no room; never out of the picture.
function placeLabel(label, [left, top], scale) {
  const above = scale * top - label.offsetHeight - 3;
  const most = screen.clientWidth - label.offsetWidth;
  label.style.left = `${Math.max(0, Math.min(scale * left - 2, most))}px`;
  label.style.top = `${above >= 0 ? above : scale * top + 3}px`;
}

function drawTable() {
  const rows = shown.faces.map((face) => {
    const number = make("span", { class: "number" }, String(face.number));
    const name = `${title(about.subject[0])} ${face.number}`;
    const button = make("button", { type: "button", "aria-label": name }, number);
    button.setAttribute("aria-pressed", face.number === chosen);
    button.addEventListener("click", () => {
      chosen = face.number;
      draw();
      byId("faces").querySelector("[aria-pressed=true]").focus();
    });
    const row = make("tr", {}, make("td", {}, button));
    if (about.categories.length) row.append(make("td", {}, categoryOf(face)));
    const values = [
      ...(about.categories.length && !about.several ? [likelihoodOf(face)] : []),
      ...(face.affect ?? []).map(signed),
    ];
    row.append(...values.map((value) => make("td", { class: "value" }, value)));
    return coloured(row, face.number);
  });
  byId("faces").tBodies[0].replaceChildren(...rows);
}

function drawProbabilities() {
  const face = shown.faces.find((one) => one.number === chosen);
  byId("probabilities").hidden = !face?.probabilities;
  if (!face?.probabilities) return;
  byId("probabilities").firstElementChild.textContent = `Probabilities of ${about.subject[0]} ${chosen}`;
  const items = byId("probabilities").querySelectorAll("li");
  face.probabilities.forEach((share, index) => {
    items[index].querySelector("span").textContent = percent(share);
    items[index].querySelector("i").style.width = `${100 * share}%`;
  });
}

// Where affect lies in the drawing; what is far outside of the circle lies at its edge.
function placed([valence, arousal]) {
  const [x, y] = [100 * valence, -100 * arousal];
  const shrunk = Math.min(1, 106 / Math.max(Math.abs(x), Math.abs(y), 1));
  return [shrunk * x, shrunk * y];
}

function drawCircumplex() {
  const alive = new Map(shown.faces.map((face) => [face.number, face]));
  for (const number of trails.keys()) if (!alive.has(number)) trails.delete(number);
  const paths = [...trails].map(([number, points]) =>
    coloured(make("path", { d: `M${points.map((point) => point.join(" ")).join("L")}` }), number),
  );
  byId("trails").replaceChildren(...paths);
  const points = new Map([...byId("points").children].map((one) => [Number(one.dataset.n), one]));
  for (const [number, point] of points) if (!alive.has(number)) point.remove();
  for (const face of [...shown.faces].reverse()) {
    if (!face.affect) continue;
    const point = points.get(face.number) ?? newPoint(face.number);
    const [x, y] = placed(face.affect);
    point.style.transform = `translate(${x}px, ${y}px)`;
    coloured(point, face.number);
    byId("points").append(point);
  }
}

function newPoint(number) {
  const text = make("text", { y: 4.5, "text-anchor": "middle" }, String(number));
  const point = make("g", { class: "point" }, make("circle", { r: 9 }), text);
  point.dataset.n = number;
  return point;
}

// What is looked at.

function clear() {
  source += 1;
  shown = chosen = null;
  trails.clear();
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  for (const medium of [picture, video]) {
    medium.removeAttribute("src");
    medium.hidden = true;
  }
  video.load();
  if (address) URL.revokeObjectURL(address);
  address = null;
  for (const id of ["boxes", "trails", "points"]) byId(id).replaceChildren();
  for (const id of ["stage", "results", "clear"]) byId(id).hidden = true;
  byId("file").value = "";
}

function open(medium) {
  medium.hidden = stage.hidden = byId("clear").hidden = false;
}

function take(file) {
  clear();
  if (file.type.startsWith("video/")) takeVideo(file);
  else takePicture(file);
}

async function takePicture(file) {
  const mine = source;
  if (file.size > about.limit) {
    const sizes = `${inMegabytes(file.size)}; pictures of up to ${inMegabytes(about.limit)}`;
    say(`${file.name} has ${sizes} are taken. It was not sent.`, true);
    return;
  }
  say("Looking at the picture…");
  try {
    const found = await ask(file);
    if (mine !== source) return;
    address = URL.createObjectURL(file);
    picture.src = address;
    open(picture);
    const visible = await picture.decode().then(() => true, () => false);
    if (mine !== source) return;
    const enlarged = SMALL / Math.max(found.width, found.height);
    picture.style.width = enlarged > 1 ? `${enlarged * found.width}px` : "";
    if (!visible) stage.hidden = true;
    show(found);
    if (!visible) say("This browser cannot show such a file; what was found in it is below.");
  } catch (error) {
    if (mine === source) say(`${file.name}: ${error.message}`, true);
  }
}

function takeVideo(file) {
  address = URL.createObjectURL(file);
  video.src = address;
  video.controls = video.loop = true;
  begin(`${file.name}: this browser cannot play it. Try it as MP4 (H.264) or WebM.`);
}

async function takeCamera() {
  clear();
  const mine = source;
  say("Waiting for the webcam…");
  try {
    if (!navigator.mediaDevices) throw new Error("it needs http://localhost or https");
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 } });
    if (mine !== source) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    video.srcObject = stream;
    video.controls = false;
    await begin("The webcam shows nothing.");
  } catch (error) {
    if (mine === source) say(`The webcam cannot be used: ${error.message}.`, true);
  }
}

async function begin(failure) {
  const mine = source;
  open(video);
  try {
    await video.play();
  } catch {
    if (mine === source) {
      clear();
      say(failure, true);
    }
    return;
  }
  follow(mine);
}

// Frames one after the other, as fast as they are answered, and none twice.
async function follow(mine) {
  const stream = Math.random().toString(36).slice(2);
  const canvas = document.createElement("canvas");
  let last = -1;
  while (mine === source) {
    await new Promise((resume) => requestAnimationFrame(resume));
    if (mine !== source || video.readyState < 2 || video.currentTime === last) continue;
    last = video.currentTime;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(scale * video.videoWidth);
    canvas.height = Math.round(scale * video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const frame = await new Promise((resume) => canvas.toBlob(resume, "image/jpeg", 0.92));
    try {
      const found = await ask(frame, stream);
      if (mine === source) show(found, stream);
    } catch (error) {
      if (mine !== source) return;
      clear();
      say(error.message, true);
    }
  }
}

// The beginning.

function prepare() {
  const { categories, several, dimensions, model, subject } = about;
  byId("model").textContent = `Model: ${model}`;
  byId("host").textContent = location.host;
  const values = [...(categories.length && !several ? ["Probability"] : []), ...dimensions];
  byId("faces").caption.textContent =
    `The ${subject[1]}, the largest first; choose one to see its probabilities`;
  byId("circumplex").lastElementChild.setAttribute(
    "aria-label", `The ${subject[1]} on the circumplex`);
  byId("faces").tHead.rows[0].replaceChildren(
    make("th", {}, title(subject[0])),
    ...(categories.length ? [make("th", {}, "Category")] : []),
    ...values.map((name) => make("th", { class: "value" }, title(name))),
  );
  byId("probabilities").lastElementChild.replaceChildren(
    ...categories.map((name) =>
      make("li", {}, name, make("span"), make("div", { class: "bar" }, make("i"))),
    ),
  );
  byId("circumplex").hidden = dimensions.length < 2;
}

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) take(file);
  else say("That is no file: save the picture, and drop the file.", true);
});
byId("file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
byId("camera").addEventListener("click", takeCamera);
byId("clear").addEventListener("click", () => {
  clear();
  say("Or drop a file anywhere on this page.");
});
new ResizeObserver(() => shown && drawBoxes()).observe(screen);

fetch("about")
  .then((answer) => answer.json())
  .then((told) => {
    about = told;
    prepare();
    document.body.dataset.ready = "";
  });
