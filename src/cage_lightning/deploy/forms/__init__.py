"""The forms of a model that other programs run: ONNX, OpenVINO and torch.export."""

from __future__ import annotations

from cage_lightning.deploy.forms.making import GRAPH, Pictures, make, open_form
from cage_lightning.deploy.forms.names import FORMS, Form, FormName, form_of_file

__all__ = ["FORMS", "GRAPH", "Form", "FormName", "Pictures", "form_of_file", "make", "open_form"]
