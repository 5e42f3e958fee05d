"""What ai-toolkit prints: bars are read and left out of the log, secrets never get there, no line is too long."""

from __future__ import annotations

import os

import pytest

from backends.external.output import KEPT_LINES, MAX_LINE, Bar, Output, parse_bar


@pytest.mark.parametrize(
    ("line", "bar"),
    [
        ("darkroom:  12%|█▏        | 240/2000 [05:10<37:55,  1.29s/it, lr: 1.0e-04 loss: 3.2e-01]", Bar("darkroom", 240, 2000, 0.32, 1e-4)),
        ("darkroom: 100%|██████████| 2000/2000 [1:05:10<00:00, 12.9it/s]", Bar("darkroom", 2000, 2000)),
        ("Caching latents to disk:  55%|█████▌    | 11/20 [00:03<00:02,  3.5it/s]", Bar("Caching latents to disk", 11, 20)),
        (" 35%|███▌      | 7/20 [00:01<00:03]", Bar("", 7, 20)),
        ("loss fell to 12% | it says", None),
        ("Saving at step 250", None),
    ],
)
def test_a_progress_bar_is_read(line, bar):
    assert parse_bar(line) == bar


def read_all(data: bytes) -> Output:
    heard, told = os.pipe()
    with os.fdopen(heard, "rb") as stream:
        output = Output(stream)
        with os.fdopen(told, "wb") as writer:
            writer.write(data)
        output.finish()
    return output


def test_bars_leave_only_their_newest_state_and_no_line_in_the_log(caplog):
    caplog.set_level("INFO", "darkroom.aitoolkit")
    bars = b"".join(b"\rdarkroom: %d%%|#| %d/100 [00:01<00:02, 1it/s, lr: 1.0e-04 loss: 5.0e-01]" % (n, n) for n in range(1, 101))
    output = read_all(b"Running 1 job\n" + bars + b"\nSaving at step 100\n")
    assert output.bar == Bar("darkroom", 100, 100, 0.5, 1e-4)
    assert output.lines() == ["Running 1 job", "Saving at step 100"]
    assert [r.message for r in caplog.records] == ["Running 1 job", "Saving at step 100"]


def test_what_moves_the_cursor_of_a_terminal_is_left_out():
    assert read_all(b"\x1b[A\x1b[2K\n\x1b[31mred\x1b[0m\n").lines() == ["red"]


def test_secrets_are_taken_out(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "very-secret-word")
    monkeypatch.setenv("WANDB_API_KEY", "another-secret")
    output = read_all(b"token=very-secret-word key another-secret hf_AbCdEfGhIjKlMnOpQr end\n")
    assert output.lines() == ["token=••• key ••• hf_••• end"]


def test_a_storm_of_lines_a_line_without_end_and_broken_text_are_survived():
    output = read_all(b"x\n" * 100_000 + b"\xff\xfe broken\n" + b"y" * 1_000_000)
    lines = output.lines()
    assert len(lines) <= KEPT_LINES
    assert max(map(len, lines)) <= MAX_LINE
    assert lines[-1].startswith("yyy")
