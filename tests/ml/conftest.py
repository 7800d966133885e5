"""Random checkpoints shared by the tests of this folder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from tests.ml.random_checkpoint import make_checkpoint, make_dataset, make_image

BRANCH_SIZES = {"embed": 24, "experts": 4, "expert_width": 8, "layers": 2, "rank": 6, "teacher_width": 10}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def base_with_branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_checkpoint(tmp_path_factory.mktemp("branched"), tied=True)
    torch.manual_seed(3)
    branch = SkinBranch(SkinBranchConfig(hidden=32, **BRANCH_SIZES))
    torch.nn.init.normal_(branch.text_bias[2].weight, std=2.0)
    save_file(branch.state_dict(), folder / "skin_branch.safetensors")
    (folder / "skin_branch.json").write_text('{"top_k": 2, "bias_mode": "all_steps"}')
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [make_image(folder / f"{i}.png", (56 + 28 * (i % 3), 56), seed=i) for i in range(4)]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "set")
