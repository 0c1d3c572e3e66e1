"""Pictures of the elements for README and docs: python -m tests.browser.gallery [folder]."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.door import Door

from headway.core.snapshot import Stage

FOLDER = Path(__file__).parents[2] / "docs" / "web"
STYLE = """
html{color-scheme:light dark}
body{font:16px/1.5 Inter,system-ui,sans-serif;margin:0;padding:20px;background:light-dark(#f5f6f8,#14161b)}
body{color:light-dark(#1c2330,#e6e9ef)}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:14px}
section{background:light-dark(#fff,#1d2027);border-radius:12px;padding:16px 20px;box-shadow:0 1px 2px #0002}
.lines{display:grid;gap:6px;margin-top:14px}
"""
LEFT = {"elapsed": 60.0, "remaining": 230.0, "remaining_low": 170.0, "remaining_high": 310.0, "idle_for": 0.4}
SCREENS = {
    "element-light": {"color_scheme": "light", "viewport": {"width": 1_090, "height": 600}},
    "element-dark": {"color_scheme": "dark", "viewport": {"width": 1_090, "height": 600}},
    "element-phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 600}},
}


def tell(door):
    """One job in each state."""
    stages = (
        Stage("Download", 1.0, 40, 40, "files", 21.0, ended=True),
        Stage("Crunch", 3.0, 5_210, 12_400, "rows", 38.0),
        Stage("Upload", 0.0),
    )
    door.tell("report", name="Nightly report", stages=stages, total_weight=4.0, **LEFT)
    counted = {"count": 5_210, "total": 12_400, "unit": "rows", "rate": 135.7}
    surely = LEFT | {"remaining_low": 200.0, "remaining_high": 250.0}
    door.tell("import", name="Importing customers", activity="Müller & Söhne, Hamburg", **counted, **surely)
    door.tell("search", name="Searching the archive", count=1_842, unit="files", rate=420.0, elapsed=60.0,
              activity="/srv/archive/2019/q3", idle_for=0.1)  # fmt: skip
    door.tell("video", "pending", name="Video of the meeting")
    door.tell(
        "export", "completed", name="Export to Excel", count=812, total=812, unit="pages", elapsed=192.0
    )
    door.tell("prices", "failed", name="Price list", count=45, total=100, failed_count=2, elapsed=60.0,
              error={"text": "The file has no header row."})  # fmt: skip
    door.tell("backup", "stalled", name="Backup", count=30_100_000_000, total=61_300_000_000, unit="B",
              elapsed=60.0, silent_for=47.0)  # fmt: skip
    door.tell("mail", name="Sending newsletters", count=300, total=900, cancel="requested", elapsed=60.0)
    door.tell("invoices", "retrying", attempt=2, name="Invoices", count=3, total=9, elapsed=60.0,
              error={"text": "The mail server said no."})  # fmt: skip
    return ["report", "import", "search", "video", "export", "prices", "backup", "mail", "invoices"]


def body(ids):
    """The page: each job as a card, and as one line."""
    bar = '<headway-progress {} src="/headway/jobs/{}" cancel></headway-progress>'
    cards = "".join(f"<section>{bar.format('', id)}</section>" for id in ids)
    lines = "".join(bar.format("compact", id) for id in ids[:6])
    return f'<main>{cards}</main><section class="lines">{lines}</section>'


def main(folder):
    """Draw all of them."""
    door = Door()
    door.file("/page.css", STYLE, "text/css")
    url = door.page(body(tell(door)), head='<link rel="stylesheet" href="/page.css">')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, screen in SCREENS.items():
            page = browser.new_page(**screen, device_scale_factor=1.5)
            page.goto(url)
            page.locator("headway-progress[state=completed]").first.wait_for()
            page.wait_for_timeout(1_500)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            page.close()
        browser.close()
    door.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
