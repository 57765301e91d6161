"""Small helpers around what `wit/` offers. They are yours: change them, or call the interfaces themselves, such as
`from wit_world.imports import chat`."""

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Union

from componentize_py_types import Err
from wit_world.imports import atomics, wasi_config_store, wasi_keyvalue_store
from wit_world.imports import fetch as host_fetch
from wit_world.imports.types import (
    ActionCardReply,
    Button,
    Content_Text,
    Failure_Permanent,
    Failure_Temporary,
    MarkdownReply,
    MentionList,
    Message,
    Outcome,
    Outcome_Pass,
    Outcome_Reply,
    Reply,
    Reply_ActionCard,
    Reply_Markdown,
    Reply_Text,
    TextReply,
)

PASS: Outcome = Outcome_Pass()
"""Not mine: the next plugin is asked."""


def reply(*replies: Union[str, Reply]) -> Outcome:
    """The answer: any number of texts and replies. `reply()` handles the message in silence."""
    return Outcome_Reply([text(one) if isinstance(one, str) else one for one in replies])


def text(text: str, mentions: Optional[MentionList] = None) -> Reply:
    """Plain text."""
    return Reply_Text(TextReply(text, mentions))


def markdown(text: str, title: str = "", mentions: Optional[MentionList] = None) -> Reply:
    """Markdown, in DingTalk's subset. `title` is what notifications show; the first line if it is not given."""
    return Reply_Markdown(MarkdownReply(title, text, mentions))


def buttons(title: str, text: str, buttons: Dict[str, str], horizontal: bool = False) -> Reply:
    """Markdown with buttons that open links: labels with their URLs."""
    made = [Button(label, url) for label, url in buttons.items()]
    return Reply_ActionCard(ActionCardReply(title, text, made, horizontal))


def text_of(message: Message) -> Optional[str]:
    """The text of a message; None if it is a picture, a file or something else."""
    return message.content.value if isinstance(message.content, Content_Text) else None


def command(message: Message, name: str) -> Optional[str]:
    """What stands behind the command `name` (such as `/todo`); None if the message does not begin with it."""
    said = (text_of(message) or "").strip()
    if not said.startswith(name):
        return None
    rest = said[len(name) :]
    return rest.strip() if not rest or rest[0].isspace() else None


def temporary(reason: str) -> Err:
    """To be raised: it may work in a moment, so the host tries again."""
    return Err(Failure_Temporary(reason))


def permanent(reason: str) -> Err:
    """To be raised: it will not work however often it is tried. Any other exception counts as this too."""
    return Err(Failure_Permanent(reason))


def config(key: str, otherwise: Optional[str] = None) -> Any:
    """A setting of the plugin, from `config` in its table of belfry.toml."""
    try:
        value = wasi_config_store.get(key)
    except Err:
        value = None
    return otherwise if value is None else value


class KeyValues:
    """The plugin's own key-values, which stay when the handler has returned: a variable does not.

    What cannot be read or written makes the handler fail as `temporary`, unless you catch it.
    """

    def __init__(self, bucket: str = "") -> None:
        """Buckets come to be with their first key."""
        self._name = bucket

    def _use(self, use):
        try:
            with wasi_keyvalue_store.open(self._name) as bucket:
                return use(bucket)
        except Err as error:
            reason = getattr(error.value, "value", None) or type(error.value).__name__
            raise temporary(f"the key-values: {reason}") from error

    def get(self, key: str) -> Optional[str]:
        """The text under a key, or None."""
        value = self._use(lambda bucket: bucket.get(key))
        return None if value is None else value.decode()

    def set(self, key: str, text: str) -> None:
        """Sets a key to a text."""
        self._use(lambda bucket: bucket.set(key, text.encode()))

    def get_json(self, key: str, otherwise: Any = None) -> Any:
        """The value under a key that `set_json` wrote, or `otherwise`."""
        value = self.get(key)
        return otherwise if value is None else json.loads(value)

    def set_json(self, key: str, value: Any) -> None:
        """Sets a key to anything that JSON can hold."""
        self.set(key, json.dumps(value, ensure_ascii=False))

    def delete(self, key: str) -> None:
        self._use(lambda bucket: bucket.delete(key))

    def keys(self, prefix: str = "") -> List[str]:
        """All keys that begin with `prefix`."""
        found, cursor = [], None
        while True:
            page = self._use(lambda bucket: bucket.list_keys(cursor))
            found += [key for key in page.keys if key.startswith(prefix)]
            if page.cursor is None:
                return found
            cursor = page.cursor

    def increment(self, key: str, by: int = 1) -> int:
        """Adds to a number and returns the sum. Stays right when messages are handled at the same time."""
        return self._use(lambda bucket: atomics.increment(bucket, key, by))


kv = KeyValues()
"""The default bucket."""


@dataclass
class Response:
    """A response, whatever its status."""

    status: int
    headers: Dict[str, str]
    body: bytes
    url: str

    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)


class FetchError(Exception):
    """There is no response; the text says why, and what to add to the config if the plugin has no grant."""


def fetch(
    url: str,
    method: str = "GET",
    headers: Optional[Dict[str, str]] = None,
    body: Optional[Union[str, bytes]] = None,
    timeout: Optional[int] = None,
) -> Response:
    """Sends a request, under the plugin's `http` grant, and waits for the whole response. `timeout` is in milliseconds."""
    data = body.encode() if isinstance(body, str) else body
    request = host_fetch.Request(method, url, list((headers or {}).items()), data, timeout)
    try:
        response = host_fetch.fetch(request)
    except Err as error:
        kind = type(error.value).__name__.removeprefix("Error_")
        raise FetchError(f"{method} {url}: {kind}: {error.value.value}") from None
    return Response(response.status, dict(response.headers), response.body, response.url)
