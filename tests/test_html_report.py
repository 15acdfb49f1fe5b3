"""The report in one HTML file, opened in a browser without a window where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reproduce.__main__ import main
from reproduce.reports.document import Document
from reproduce.reports.renderers import html

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    words = ["--dataset", "cycle", "--results", str(folder), "--quiet"]
    assert main(["table2", *words, "--model", "pop", "item_knn"]) == 0
    assert main(["all", "--results", str(folder), "--html", str(folder / "report.html")]) == 0
    return folder / "report.html"


def test_the_report_needs_no_network(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"", text) + re.findall(r"url\(([^)]*)\)", text)
    assert loaded and all(one.startswith(("#", "data:")) for one in loaded)


def test_a_browser_draws_every_page_and_its_tables_sort(report: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium here")
    clicked = tmp_path / "clicked.html"
    click = "<script>document.querySelectorAll('th')[1].click()</script></body>"
    clicked.write_text(report.read_text(encoding="utf-8").replace("</body>", click), encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom", str(clicked)]
    made = subprocess.run([browser, *words], capture_output=True, text=True, timeout=120, check=True).stdout
    pages = re.findall(r"<article", report.read_text(encoding="utf-8"))
    assert len(re.findall(r"<article", made)) == len(pages) > 5
    heads = re.findall(r"<th[ >][^>]*", made)
    assert heads and all('tabindex="0"' in head for head in heads)  # the script ran over every table
    assert made.count('aria-sort="descending"') == 1


def test_a_link_of_a_stranger_cannot_leave_its_attribute() -> None:
    note = '[more](https://a" onmouseover="alert%281%29" x=")'
    text = html({"page.md": Document("Title", [], note, [])})
    assert 'href="https://a&quot; onmouseover=&quot;alert' in text and 'onmouseover="' not in text
