"""Every example of the README and the docs runs as it stands, and every link leads somewhere."""

import re
import shutil
from pathlib import Path

import pytest

from haversack.server import background

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.fixture(scope="module")
def hub(small_hub, tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "hub"
    shutil.copytree(small_hub, root)
    with background(root, api_key="key") as server:
        yield server


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_examples_of_a_page_run_in_their_order(page, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLHUB_ROOT_URL", hub.api_root)
    monkeypatch.setenv("MLHUB_API_KEY", "key")
    names: dict[str, object] = {"__name__": "__main__"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        target, _, heading = link.partition("#")
        assert "://" in link or (page.parent / target).exists(), link
        if heading and target:
            headings = re.findall(r"^#+ (.*)$", (page.parent / target).read_text(), re.MULTILINE)
            assert heading in {h.lower().replace(" ", "-").replace("'", "") for h in headings}
