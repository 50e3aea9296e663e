"""Examples and schemas of the server's OpenAPI document."""

from __future__ import annotations

from typing import Any

LEAST = "Least score; by default the thresholds in the model, or 0.5."
ERROR_SCHEMA = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
REASONS = {
    400: "The request is damaged.",
    401: "A bearer token is needed.",
    404: "There is no such model or version.",
    408: "The request took too long.",
    409: "A model cannot be loaded.",
    413: "The request is too large.",
    415: "The body is not an image.",
    422: "A parameter is unusable.",
    429: "Too many images are waiting.",
    500: "The server failed.",
    503: "The model is not loaded yet.",
}


def responses(
    example: Any, *errors: int, kind: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route: an example of a good one, and the errors."""
    described: dict[int | str, dict[str, Any]] = {
        200: {"description": "The answer.", "content": {kind: {"example": example}}}
    }
    for status in errors:
        content = {
            "application/json": {"schema": ERROR_SCHEMA, "example": {"error": REASONS[status]}}
        }
        described[status] = {"description": REASONS[status], "content": content}
    return described


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
BOXES = {"boxes": [[12.0, 8.5, 96.0, 60.0]], "scores": [0.92], "labels": [0]}
FOUND = {
    "model": "detector",
    "version": "1",
    "width": 640,
    "height": 480,
    "detections": [{"box": [12.0, 8.5, 96.0, 60.0], "score": 0.92, "label": 0, "name": "cat"}],
}
VERSION_STATE = {
    "version": "1",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}

HEALTH = responses({"status": "ok"})
READY = responses({"status": "ready"}, 503)
METRICS = responses("retinanet_queue_images 0.0", 401, kind="text/plain")
RELOAD = responses({"models": {"detector": [1]}}, 401, 409)
MODELS = responses({"detector": {"versions": [1], "classes": ["cat", "dog"]}}, 401)
DETECT = responses(FOUND, 400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
STATUS = responses({"model_version_status": [VERSION_STATE]}, 401, 404, 422)
METADATA = responses({"model_spec": {"name": "detector"}}, 401, 404, 422, 503)
PREDICT = responses({"predictions": [BOXES]}, 400, 401, 404, 408, 413, 415, 422, 429, 500, 503)

DETECT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "string", "format": "binary"}},
                    "required": ["image"],
                }
            },
        },
    }
}
PREDICT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "signature_name": {"type": "string"},
                        "instances": {"type": "array", "items": {}},
                        "inputs": {},
                    },
                },
                "example": {"instances": [{"b64": PIXEL}]},
            }
        },
    }
}
