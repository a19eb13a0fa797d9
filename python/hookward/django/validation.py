"""What a handler's `model` makes of a body: pydantic models, DRF serializers, dataclasses, TypedDicts.

A body comes here after the core has read it strictly: it is JSON without duplicate keys, or a form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

Validate = Callable[[bytes, Callable[[], Any], bool], Any]
"""Takes the bytes, what reads them, and whether they are JSON."""

_PLACES_MAX = 10


class Invalid(Exception):
    """The body does not match. The text names fields and kinds of mistakes, and quotes nothing."""


def validator(model: Any) -> Validate:
    """What makes data of this model, which may be a dotted path. Raises ImproperlyConfigured for what is no model."""
    if isinstance(model, str):
        try:
            model = import_string(model)
        except ImportError as error:
            raise ImproperlyConfigured(f"the model {model!r} cannot be imported: {error}") from error
    bases = [f"{base.__module__}.{base.__qualname__}" for base in getattr(model, "__mro__", ())]
    if "pydantic.main.BaseModel" in bases:
        return _of_pydantic(model)
    if "rest_framework.serializers.BaseSerializer" in bases:
        return _of_serializer(model)
    if dataclasses.is_dataclass(model) or _is_typeddict(model):
        try:
            from pydantic import PydanticUserError, TypeAdapter
        except ImportError:
            raise ImproperlyConfigured(
                f"{model.__qualname__} as a model needs pydantic, which checks its fields: pip install pydantic"
            ) from None
        try:
            return _of_pydantic(TypeAdapter(model))
        except PydanticUserError as error:
            raise ImproperlyConfigured(f"{model.__qualname__} as a model: {error.message}") from error
    raise ImproperlyConfigured(
        f"{model!r} is no model: use a pydantic model, a serializer of Django REST framework, a dataclass"
        " or a TypedDict"
    )


def _is_typeddict(model: Any) -> bool:
    """Of `typing` or of `typing_extensions`: each knows only its own."""
    return isinstance(model, type) and issubclass(model, dict) and hasattr(model, "__required_keys__")


def _of_pydantic(model: Any) -> Validate:
    from pydantic import ValidationError

    from_json = getattr(model, "model_validate_json", None) or model.validate_json
    from_python = getattr(model, "model_validate", None) or model.validate_python

    def validate(body: bytes, read: Callable[[], Any], is_json: bool) -> Any:
        try:
            return from_json(body) if is_json else from_python(read())
        except ValidationError as error:
            mistakes = error.errors(include_url=False, include_context=False, include_input=False)
            raise Invalid(_told((_place(it["loc"]), it["type"]) for it in mistakes)) from None

    return validate


def _of_serializer(model: Any) -> Validate:
    def validate(_body: bytes, read: Callable[[], Any], _is_json: bool) -> Any:
        serializer = model(data=read())
        if serializer.is_valid():
            return serializer.validated_data
        raise Invalid(_told(_of_errors(serializer.errors, ())))

    return validate


def _of_errors(errors: Any, at: tuple[Any, ...]) -> Any:
    """The leaves of DRF's nested errors."""
    if isinstance(errors, dict):
        for name, inner in errors.items():
            yield from _of_errors(inner, (*at, name))
    elif isinstance(errors, list) and errors and isinstance(errors[0], dict):
        for index, inner in enumerate(errors):
            yield from _of_errors(inner, (*at, index))
    else:
        for error in errors if isinstance(errors, list) else [errors]:
            yield _place(at), getattr(error, "code", "invalid")


def _place(at: Any) -> str:
    # A key of a free mapping is the sender's text: it may be anything, but not long.
    return ".".join(str(part)[:40] for part in at)


def _told(mistakes: Any) -> str:
    told = [f"{place}: {kind}" if place else str(kind) for place, kind in mistakes]
    more = f", and {len(told) - _PLACES_MAX} more" if len(told) > _PLACES_MAX else ""
    return "does not match its model: " + ", ".join(told[:_PLACES_MAX]) + more
