"""The report in a real browser: its policy lets its own style and script run, and nothing is wider than a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import elboroom.report as report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def browse(page: Path, profile: Path, *flags: str) -> str:
    """Run the browser without a window on one file; what it prints."""
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ]
    done = subprocess.run([*command, *flags, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def pixels(page: Path, tmp_path: Path, width: int, *flags: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    out = tmp_path / f"shot-{width}.png"
    browse(page, tmp_path / "profile", f"--window-size={width},1400", f"--screenshot={out}", *flags)
    return np.asarray(Image.open(out).convert("RGB"))


def test_the_policy_lets_the_script_run_in_a_browser(vae_run: Path, tmp_path: Path) -> None:
    found = browse(report.write(vae_run), tmp_path / "profile", "--dump-dom")
    assert len(re.findall(r"<button[^>]*>svg</button>", found)) == 4, "the script adds one to each drawn figure"


@pytest.mark.slow
def test_light_and_dark_pages_have_the_paper_of_their_theme(vae_run: Path, tmp_path: Path) -> None:
    page = report.write(vae_run)
    assert tuple(pixels(page, tmp_path, 1200)[2, 2]) == (0xFB, 0xFB, 0xF9)
    page.write_text(page.read_text().replace('<html lang="en">', '<html lang="en" data-theme="dark">'))
    assert tuple(pixels(page, tmp_path, 1200)[2, 2]) == (0x12, 0x14, 0x17)


@pytest.mark.slow
def test_a_phone_shows_nothing_past_its_right_edge(vae_run: Path, tmp_path: Path) -> None:
    page = report.write(vae_run)
    wide = pixels(page, tmp_path, 600)
    assert (wide[:, 590:] == wide[0, -1]).all(), "the margin stays empty"


@pytest.mark.slow
def test_a_page_of_texts_keeps_its_margin_on_a_phone(text_run: Path, tmp_path: Path) -> None:
    sample = text_run / "media/samples/step-0005000.txt"
    sample.write_text(f"Step 5,000.\n\n[prompt, 1 characters]\nA\n\n[greedy, 240 characters]\n{'w' * 240}\n")
    wide = pixels(report.write(text_run), tmp_path, 600)
    assert (wide[:, 590:] == wide[0, -1]).all(), "long words are broken"
