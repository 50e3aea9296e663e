"""The HTTP interface of the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from ..detections import Detections
from ..detector_options import DetectorOptions, least_scores, sufficient
from ..errors import InputError
from . import openapi, tfserving
from .limits import Limits, Refused
from .metrics import Metrics
from .middleware import BodyLimit, Gate
from .models import Models, Version

ModelName = Annotated[str, Path(pattern="^[^/:]{1,100}$")]
Number = Annotated[int, Path(ge=0, le=2**53)]
log = logging.getLogger("keras_retinanet.serving")


@dataclass(frozen=True)
class Settings:
    """The settings of the HTTP interface.

    Attributes:
        token: the token that every request must have; None if no token is needed.
        watch: seconds between two checks for new versions; None for no checks.
    """

    limits: Limits = Limits()
    token: str | None = None
    watch: float | None = None


def create_app(models: Models, settings: Settings = Settings()) -> FastAPI:
    """Return the application that serves models.

    The models are loaded when it starts; until then `/readyz` answers 503.
    """
    app = FastAPI(
        title="keras_retinanet",
        summary="Objects in images: boxes, scores and classes.",
        lifespan=lambda app: lifespan(models, settings),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    server = Server(models, settings.limits)
    metrics = Metrics(models)
    add_pages(app, models, metrics)
    add_detect(app, server)
    add_tfserving(app, server)
    for kind, handler in ANSWERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Gate, metrics=metrics, token=settings.token)
    return app


@contextlib.asynccontextmanager
async def lifespan(models: Models, settings: Settings) -> AsyncIterator[None]:
    """Load the models in the background, look for new versions, and close all at the end."""

    async def watch() -> None:
        while True:
            for failed in await models.refresh():
                log.error("%s", failed)
            if settings.watch is None:
                return
            await asyncio.sleep(settings.watch)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    await models.close()


class Server:
    """The work behind the routes: from encoded images to detections."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models = models
        self.limits = limits

    async def detect(self, version: Version, images: list[tfserving.Image]) -> list[Detections]:
        """Return the detections in each image; the request gives up after `limits.seconds`."""
        until = asyncio.get_running_loop().time() + self.limits.seconds
        version.batcher.check_room(len(images))

        async def one(image: tfserving.Image) -> Detections:
            item = await asyncio.to_thread(version.prepare, image)
            return await version.batcher.detect(item, until)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(image)) for image in images]
        return [task.result() for task in tasks]

    async def answers(self, version: Version, images: list[tfserving.Image]) -> list[Detections]:
        """Do as `detect`, and raise the first of several errors as it is."""
        try:
            return await self.detect(version, images)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


def add_pages(app: FastAPI, models: Models, metrics: Metrics) -> None:
    """Add the page for people, and the routes for operators."""
    page = resources.files(__package__).joinpath("page.html").read_text("utf-8")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> str:
        return page

    @app.get("/healthz", responses=openapi.HEALTH)
    async def healthz() -> dict:
        """Answer as long as the server runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses=openapi.READY)
    async def readyz() -> dict:
        """Answer 200 once every model is loaded."""
        if not models.ready:
            raise Refused(503, "Not every model is loaded yet.")
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, responses=openapi.METRICS)
    async def figures() -> Response:
        """Return the server's figures in Prometheus's text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/reload", responses=openapi.RELOAD)
    async def reload() -> dict:
        """Load new and changed versions; requests go on meanwhile."""
        for failed in (failures := await models.refresh()):
            log.error("%s", failed)
        if failures:
            raise Refused(409, "A model cannot be loaded; the server's log says which and why.")
        return {"models": {name: sorted(each.versions) for name, each in models.served.items()}}

    @app.get("/models", responses=openapi.MODELS)
    async def listed() -> dict:
        """Return the names, versions and classes of the models."""
        return {
            name: {"versions": sorted(each.versions), "classes": classes_of(each.latest())}
            for name, each in models.served.items()
            if each.versions
        }


def classes_of(version: Version) -> list[str]:
    """Return the class names of a version, or numbers if it has no names."""
    return list(version.info.class_names or map(str, range(version.info.num_classes)))


def add_detect(app: FastAPI, server: Server) -> None:
    """Add the route /detect: an image in, its objects out."""

    @app.post("/detect", responses=openapi.DETECT, openapi_extra=openapi.DETECT_BODY)
    async def detect(
        request: Request,
        model: Annotated[str | None, Query(description="Needed if there are several.")] = None,
        version: Annotated[int | None, Query(ge=0, le=2**53)] = None,
        score_threshold: Annotated[
            float | None, Query(ge=0, le=1, description=openapi.LEAST)
        ] = None,
        max_detections: Annotated[int, Query(ge=1, le=10000)] = 100,
    ) -> dict:
        """Return the objects in an image, best first, in px of the upright image."""
        served = server.models.named(model)
        chosen = served.version(version)
        data = await image_in(request)
        server.limits.check_image(data)
        options = DetectorOptions(score_threshold=score_threshold)
        least = least_scores(options, None, chosen.info.postprocess)
        [found] = await server.answers(chosen, [data])
        return {
            "model": served.name,
            "version": str(chosen.number),
            "width": found.image.shape[1],
            "height": found.image.shape[0],
            "detections": objects(found, least, max_detections),
        }


async def image_in(request: Request) -> bytes:
    """Return the image file in a request: its body, or the file of a form.

    Raises:
        Refused: the form is damaged, or has no file or several.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    try:
        async with request.form(max_files=2, max_fields=20) as form:
            files = [value for value in form.values() if not isinstance(value, str)]
            if len(files) != 1:
                raise Refused(400, "The form must have one file, the image.")
            return await files[0].read()
    except HTTPException:
        raise Refused(400, "The form is damaged.") from None


def objects(found: Detections, least: np.ndarray, max_detections: int) -> list[dict]:
    """Return detections as dicts with box, score, label and name.

    Args:
        least: of `least_scores`.
    """
    enough = sufficient(found.scores, found.labels, least).tolist()
    columns = found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), found.names
    named = [
        {"box": box, "score": score, "label": label, "name": name}
        for box, score, label, name, kept in zip(*columns, enough, strict=True)
        if kept
    ]
    return named[:max_detections]


def add_tfserving(app: FastAPI, server: Server) -> None:
    """Add the routes of TensorFlow Serving's REST interface."""

    async def predict(request: Request, name: str, number: int | None) -> dict:
        version = server.models.named(name).version(number)
        body = await asyncio.to_thread(parsed, await request.body())
        images = await asyncio.to_thread(tfserving.images_of, body, server.limits)
        found = await server.answers(version, images)
        return tfserving.predictions(found, version.info, "inputs" in body)

    @app.get("/v1/models/{name}", responses=openapi.STATUS)
    async def status(name: ModelName) -> dict:
        """Return the versions of a model that are loaded."""
        return tfserving.status(list(server.models.named(name).versions))

    @app.get("/v1/models/{name}/versions/{number}", responses=openapi.STATUS)
    async def status_of(name: ModelName, number: Number) -> dict:
        """Return the state of one version."""
        return tfserving.status([server.models.named(name).version(number).number])

    @app.get("/v1/models/{name}/metadata", responses=openapi.METADATA)
    async def metadata(name: ModelName) -> dict:
        """Return the signatures of the latest version."""
        version = server.models.named(name).latest()
        return tfserving.metadata(name, version.number, version.info)

    @app.get("/v1/models/{name}/versions/{number}/metadata", responses=openapi.METADATA)
    async def metadata_of(name: ModelName, number: Number) -> dict:
        """Return the signatures of one version."""
        version = server.models.named(name).version(number)
        return tfserving.metadata(name, version.number, version.info)

    how: dict[str, Any] = {"responses": openapi.PREDICT, "openapi_extra": openapi.PREDICT_BODY}

    @app.post("/v1/models/{name}:predict", **how)
    async def predict_latest(request: Request, name: ModelName) -> dict:
        """Return the detections in some images, by the latest version."""
        return await predict(request, name, None)

    @app.post("/v1/models/{name}/versions/{number}:predict", **how)
    async def predict_version(request: Request, name: ModelName, number: Number) -> dict:
        """Return the detections in some images, by one version."""
        return await predict(request, name, number)


def parsed(data: bytes) -> Any:
    """Return the value of a JSON body. Raises `Refused` if it is damaged or too deep."""
    try:
        return json.loads(data)
    except RecursionError:
        raise Refused(400, "The body is nested too deeply.") from None
    except ValueError:
        raise Refused(400, "The body is not JSON.") from None


def error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer with one sentence."""
    return JSONResponse({"error": sentence}, status, headers)


async def refusal(request: Request, refused: Refused) -> JSONResponse:
    """Answer a request that is refused."""
    return error(refused.status, refused.sentence, refused.headers)


async def unusable(request: Request, problem: InputError) -> JSONResponse:
    """Answer a request whose image cannot be read."""
    return error(415, "The image cannot be read: it is damaged or not supported.")


async def http_error(request: Request, problem: HTTPException) -> JSONResponse:
    """Answer a request to a wrong path or by a wrong method."""
    sentences = {404: "No such path.", 405: "This path has other methods."}
    sentence = sentences.get(problem.status_code, "The request is damaged.")
    return error(problem.status_code, sentence, problem.headers)


async def invalid(request: Request, problem: RequestValidationError) -> JSONResponse:
    """Answer a request with an unusable parameter, which the sentence names."""
    first = problem.errors()[0]
    name = str(first["loc"][-1])[:100]
    return error(422, f"The parameter {name} is unusable: {first['msg'].lower()[:200]}.")


async def failure(request: Request, problem: Exception) -> JSONResponse:
    """Answer a request that failed for a fault of the server, which only its log tells."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=problem)
    return error(500, "The server failed on this request.")


ANSWERS: dict[type[Exception], Any] = {
    Refused: refusal,
    InputError: unusable,
    HTTPException: http_error,
    RequestValidationError: invalid,
    Exception: failure,
}
