"""Which prompt a call uses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)


def merged_prompts(of_model: dict[str, str], given: Any) -> dict[str, str]:
    """The model's prompts, overruled by those given. None instead of a prompt keeps the model's, if it has one."""
    if not isinstance(given, Mapping | None):
        raise TypeError(f"prompts: expected a dict, got {type(given).__name__}")
    prompts = dict(of_model)
    for name, prompt in (given or {}).items():
        if prompt is None:
            prompts.setdefault(name, "")
        elif isinstance(prompt, str):
            prompts[name] = prompt
        else:
            raise TypeError(f"prompts[{name!r}]: expected str, got {type(prompt).__name__}")
    return prompts


def prompt_named(prompts: dict[str, str], name: str, argument: str) -> str:
    """The prompt of that name. Raises ValueError where there is none, naming the argument that asked for it."""
    try:
        return prompts[name]
    except KeyError:
        expected = ", ".join(f'"{known}"' for known in prompts)
        raise ValueError(f"{argument}: expected one of {expected}, found {name!r}") from None


def resolve_prompt(
    prompts: dict[str, str], default_prompt_name: str | None, prompt: str | None, prompt_name: str | None
) -> str | None:
    """The prompt itself where one is given, else the one named, else the default one."""
    if prompt is not None:
        if prompt_name is not None:
            logger.warning("prompt and prompt_name are both given: prompt_name is ignored")
        return prompt
    name = default_prompt_name if prompt_name is None else prompt_name
    return None if name is None else prompt_named(prompts, name, "prompt_name")
