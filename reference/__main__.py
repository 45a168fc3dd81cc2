"""`python -m reference` writes the pages; a test compares them with what is committed."""

from pathlib import Path

from reference.http import http_page
from reference.licences import licences_page
from reference.metrics import metrics_page
from reference.records import records_page
from reference.settings import settings_page

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {
    "settings.md": settings_page,
    "records.md": records_page,
    "http.md": http_page,
    "metrics.md": metrics_page,
    "licences.md": licences_page,
}


def write() -> None:
    """Write every page, where it differs."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    write()
