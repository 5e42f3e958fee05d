"""Where a run trains is typed and frozen like every other setting; what a person types wrongly is told at its field."""

from __future__ import annotations

import pytest

from backends.contract.config import GROUPS, ConfigFaults, parse_config
from backends.contract.errors import DarkroomError
from backends.contract.launch import LaunchSettings, read_launch, write_launch
from backends.contract.rundir import RunDir
from backends.registry import BACKENDS


@pytest.mark.parametrize(
    ("values", "field", "told"),
    [
        ({"launcher": "pbs"}, "launcher", "local, slurm, skypilot"),
        ({"num_machines": 0}, "num_machines", "Machines is 0; it must be a number from 1 to 256"),
        ({"main_process_port": 80}, "main_process_port", "from 1,024 to 65,535"),
        ({"main_process_ip": "10.0.0.1; reboot"}, "main_process_ip", "such as node-1 or 10.0.0.4"),
        ({"slurm_partition": "main\n#SBATCH --wrap=x"}, "slurm_partition", "without spaces"),
        ({"slurm_time": "soon"}, "slurm_time", "“soon”; it must be a length of time as Slurm writes it"),
        ({"slurm_memory": "64GiB"}, "slurm_memory", "such as 64G"),
        ({"slurm_lines": "--qos=high\nrm -rf"}, "slurm_lines", "“rm -rf”; each must be an option as sbatch writes it"),
        ({"slurm_lines": ["--output=/etc/passwd"]}, "slurm_lines", "which the studio writes itself"),
        ({"slurm_setup": ["module load\x1b[2J"]}, "slurm_setup", "cannot be printed"),
        ({"sky_accelerators": ["8 x A100"]}, "sky_accelerators", "such as A100-80GB:8"),
        ({"sky_cloud": "basement"}, "sky_cloud", "runpod, lambda, vast, paperspace, gcp, aws, azure, kubernetes"),
        ({"machines": 2}, "", "Did you mean num_machines"),
    ],
)
def test_what_does_not_fit_is_told_with_value_rule_and_way_out(values, field, told):
    with pytest.raises(ConfigFaults) as caught:
        parse_config(LaunchSettings, values)
    assert caught.value.faults[0].field == field
    assert told in caught.value.faults[0].text


def test_a_secrets_value_typed_for_its_name_is_not_repeated():
    with pytest.raises(ConfigFaults) as caught:
        parse_config(LaunchSettings, {"sky_secrets": ["HF_TOKEN=hf_planted"]})
    assert "never its value" in caught.value.text
    assert "planted" not in caught.value.text


def test_a_form_leaves_open_with_an_empty_text_and_gives_lines_as_one():
    launch = parse_config(LaunchSettings, {"slurm_time": " ", "main_process_port": "", "slurm_lines": "--qos=high\n\n --mail-type=END \n"})
    assert (launch.slurm_time, launch.main_process_port) == (None, None)
    assert launch.slurm_lines == ["--qos=high", "--mail-type=END"]


def test_it_lies_beside_the_settings_and_a_run_without_it_is_one_of_this_machine(tmp_path):
    run = RunDir(tmp_path)
    assert read_launch(run) == LaunchSettings()
    launch = LaunchSettings(launcher="slurm", num_machines=2, slurm_setup=["source “my env”/bin/activate"])
    write_launch(run, launch)
    assert read_launch(run) == launch
    run.launch.write_text("launcher: [")
    with pytest.raises(DarkroomError, match="cannot be read as launch settings"):
        read_launch(run)


def test_several_machines_meet_at_the_usual_port_and_one_takes_a_free_one():
    assert LaunchSettings().port == 0
    assert LaunchSettings(num_machines=2).port == 29500
    assert LaunchSettings(num_machines=2, main_process_port=4000).port == 4000


def test_no_setting_stands_twice_and_every_one_has_title_help_and_group():
    taken = {name for backend in BACKENDS.values() for name in backend.config.model_fields}
    assert not taken & LaunchSettings.model_fields.keys()
    for name, field in LaunchSettings.model_fields.items():
        assert field.title, name
        assert field.description and field.description.endswith((".", "cuda/12.8", "--qos=high")), name
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["group"] in GROUPS
