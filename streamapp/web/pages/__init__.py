"""Pages for people: each one self-contained file, with a content policy that names its parts."""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web

#: What a page may do beyond its own script and style: ask its own worker, show inline pictures.
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is delivered.

    Attributes:
        policy: Its ``Content-Security-Policy``.
    """

    body: bytes
    policy: str

    @classmethod
    def load(cls, name: str, *parts: str) -> "Page":
        """Return ``NAME.html`` with the styles and scripts put into it, those of parts first."""
        folder = files(__package__)

        def read(file: str) -> str:
            return folder.joinpath(file).read_text(encoding="utf-8")

        style = read("shared.css") + read(f"{name}.css")
        script = "".join(read(f"{part}.js") for part in ("shared", *parts, name))
        html = read(f"{name}.html").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
        return cls(html.encode(), POLICY.format(script=_hash(script), style=_hash(style)))

    def response(self) -> web.Response:
        """Return the page; it holds no data, so nobody is asked for a key."""
        return web.Response(
            body=self.body,
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": self.policy},
        )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
