"""The side branch against a plain loop over experts, and its state dict against the reference's names."""

import pytest
import torch
from torch import Tensor

from modelhub.ml.branch import FIRST_VERSION, SkinBranch, SkinBranchConfig
from modelhub.ml.experts import run_experts

SIZES = SkinBranchConfig(hidden=12, patch_dim=20, embed=16, experts=4, expert_width=6, layers=2, top_k=2, rank=5)


@pytest.fixture
def branch() -> SkinBranch:
    torch.manual_seed(1)
    made = SkinBranch(SIZES)
    torch.nn.init.normal_(made.text_bias[2].weight)
    return made


def naive_image(branch: SkinBranch, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One image, one patch and one expert at a time, straight from the published formulas."""
    state = branch.state_dict()
    h = patches @ state["distill_head.in_proj.weight"].T
    inner = (
        state["distill_head.skin_classifier.0.weight"] @ h.mean(0) + state["distill_head.skin_classifier.0.bias"]
    ).relu()
    skin_logits = state["distill_head.skin_classifier.2.weight"] @ inner + state["distill_head.skin_classifier.2.bias"]
    aux = torch.zeros(())
    for layer in range(SIZES.layers):
        at = f"distill_head.adapters.{layer}."
        probabilities, used, new = [], torch.zeros(len(h), SIZES.experts), h.clone()
        for n, patch in enumerate(h):
            logits = state[at + "router_img.weight"] @ patch + state[at + "router_skin.weight"] @ skin_logits.softmax(0)
            p = logits.softmax(0)
            probabilities.append(p)
            best = p.argsort(descending=True)[: SIZES.top_k]
            for e in best.tolist():
                net = {key: state[f"{at}experts.{e}.net.{key}"] for key in ("0.weight", "0.bias", "2.weight", "2.bias")}
                out = net["2.weight"] @ (net["0.weight"] @ patch + net["0.bias"]).relu() + net["2.bias"]
                new[n] += p[e] / (p[best].sum() + 1e-6) * out
                used[n, e] = 1
        aux = aux + SIZES.experts * (torch.stack(probabilities).mean(0) * used.mean(0)).sum()
        h = new
    return h.mean(0), skin_logits, aux


def test_forward_equals_a_loop_over_patches_and_experts(branch: SkinBranch) -> None:
    patches = torch.randn(22, SIZES.patch_dim)
    grid = torch.tensor([[1, 2, 4], [1, 2, 7]])

    output = branch(patches, grid)

    for image, part in enumerate((patches[:8], patches[8:])):
        embed, skin, aux = naive_image(branch, part)
        torch.testing.assert_close(output.vision_embed[image], embed, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.skin_logits[image], skin, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.balance[image], aux, atol=1e-5, rtol=1e-5)


def test_one_of_equal_frames_is_enough() -> None:
    torch.manual_seed(6)
    branch = SkinBranch(SkinBranchConfig(hidden=12, patch_dim=24, embed=16, experts=0, skin_classes=0, layers=1))
    frame = torch.randn(10, 3, 1, 4)
    grid = torch.tensor([[1, 2, 5]])
    gradients = []
    outputs = []
    for patches in (frame.expand(-1, -1, 2, -1).flatten(1), frame.flatten(1)):
        branch.zero_grad()
        outputs.append(branch(patches, grid).vision_embed)
        outputs[-1].square().sum().backward()
        gradients.append(branch.distill_head.in_proj.weight.grad)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_gradients_of_grouped_experts_equal_a_loop_over_experts() -> None:
    torch.manual_seed(4)
    experts, width, embed, patches, k = 5, 3, 4, 11, 2
    shapes = {"h": (patches, embed), "top": (patches, k), "w_in": (experts, width, embed)}
    shapes |= {"b_in": (experts, width), "w_out": (experts, embed, width)}
    values = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    chosen = torch.rand(patches, experts - 1).topk(k).indices  # the last expert gets no patch
    ours, plain = ({name: v.clone().requires_grad_() for name, v in values.items()} for _ in range(2))

    result = run_experts(chosen=chosen, **ours)

    inner = torch.einsum("ewd,pd->pew", plain["w_in"], plain["h"]) + plain["b_in"]
    every = torch.einsum("edw,pew->ped", plain["w_out"], inner.relu())
    picked = every.gather(1, chosen[..., None].expand(-1, -1, embed))
    expected = (picked * plain["top"][..., None]).sum(dim=1)
    torch.testing.assert_close(result, expected)
    cotangent = torch.randn_like(expected)
    result.backward(cotangent)
    expected.backward(cotangent)
    for name in values:
        torch.testing.assert_close(ours[name].grad, plain[name].grad)


def test_a_row_takes_its_own_images_and_a_text_row_none(branch: SkinBranch) -> None:
    embed = torch.randn(3, SIZES.embed)

    bias = branch.row_bias(embed, torch.tensor([0, 2, 2]), rows=3)

    def alone(v: Tensor) -> Tensor:
        w1, w2 = branch.text_bias[0].weight, branch.text_bias[2].weight
        return branch.logit_bias_scale * (w2 @ torch.tanh(w1 @ v))

    torch.testing.assert_close(bias[0], alone(embed[0]))
    assert bias[1].eq(0).all()
    torch.testing.assert_close(bias[2], alone((embed[1] + embed[2]) / 2))


def test_published_sizes_have_the_published_tensors() -> None:
    with torch.device("meta"):
        state = SkinBranch(SkinBranchConfig(hidden=3584)).state_dict()

    assert len(state) == 4 * (2 + 8 * 4) + 5 + 3
    assert state["distill_head.in_proj.weight"].shape == (1024, 1176)
    assert state["distill_head.adapters.3.experts.7.net.2.weight"].shape == (1024, 64)
    assert state["distill_head.adapters.3.router_skin.weight"].shape == (8, 3)
    assert state["text_bias.2.weight"].shape == (3584, 64)
    assert state["logit_bias_scale"].shape == ()
    assert "distill_head.out_proj.weight" not in state


def test_sizes_follow_from_shapes() -> None:
    sizes = SkinBranchConfig(hidden=8, embed=6, experts=3, expert_width=5, layers=2, rank=4, teacher_width=9)
    assert SkinBranchConfig.from_state(SkinBranch(sizes).state_dict()) == sizes


def test_state_round_trip_is_exact(branch: SkinBranch) -> None:
    other = SkinBranch(SIZES)
    other.load_state_dict(branch.state_dict())
    for key, value in branch.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize("key", ["distill_head.in_proj.weight", "distill_head.adapters.1.experts.2.net.2.bias"])
def test_a_missing_tensor_is_named(branch: SkinBranch, key: str) -> None:
    state = branch.state_dict()
    del state[key]
    with pytest.raises(RuntimeError, match=f"Missing.*{key}"):
        SkinBranch(SIZES).load_state_dict(state)


def test_an_extra_expert_is_named(branch: SkinBranch) -> None:
    state = branch.state_dict()
    state["distill_head.adapters.0.experts.9.net.0.bias"] = torch.zeros(6)
    with pytest.raises(RuntimeError, match=r"Unexpected.*experts\.9\.net\.0\.bias"):
        SkinBranch(SIZES).load_state_dict(state)


def test_a_new_branch_changes_nothing() -> None:
    fresh = SkinBranch(SIZES)
    assert fresh.row_bias(torch.randn(2, SIZES.embed), torch.tensor([0, 1]), 2).eq(0).all()


def test_nonsense_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="top_k 9"):
        SkinBranchConfig(hidden=8, top_k=9)
    with pytest.raises(ValueError, match="layers must be"):
        SkinBranchConfig(hidden=8, layers=0)
    with pytest.raises(ValueError, match="experts must be"):
        SkinBranchConfig(hidden=8, experts=-1)


def first_version() -> SkinBranch:
    torch.manual_seed(2)
    sizes = FIRST_VERSION | {"expert_width": 7, "embed": 16, "rank": 5, "teacher_width": 9}
    return SkinBranch(SkinBranchConfig(hidden=12, patch_dim=20, **sizes))


def test_the_first_version_is_a_residual_head_and_a_language_bias() -> None:
    branch = first_version()
    state = branch.state_dict()
    assert set(state) == {
        *(f"distill_head.{name}.weight" for name in ("in_proj", "out_proj")),
        *(f"distill_head.adapters.0.net.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")),
        *("text_bias.0.weight", "text_bias.2.weight", "logit_bias_scale"),
    }
    patches = torch.randn(6, 20)
    h = patches @ state["distill_head.in_proj.weight"].T
    inner = (h @ state["distill_head.adapters.0.net.0.weight"].T + state["distill_head.adapters.0.net.0.bias"]).relu()
    h = h + inner @ state["distill_head.adapters.0.net.2.weight"].T + state["distill_head.adapters.0.net.2.bias"]

    output = branch(patches, torch.tensor([[1, 2, 3]]))

    torch.testing.assert_close(output.vision_embed[0], h.mean(0))
    torch.testing.assert_close(output.vision_proj[0], state["distill_head.out_proj.weight"] @ h.mean(0))
    assert output.skin_logits is output.balance is output.routing is None


@pytest.mark.parametrize("changes", [{}, {"teacher_width": 16}, {"layers": 3}, {"experts": 4}, {"skin_classes": 3}])
def test_any_mixture_of_the_versions_is_found_in_its_tensors(changes: dict[str, int]) -> None:
    sizes = FIRST_VERSION | {"expert_width": 7, "embed": 16, "rank": 5, "teacher_width": 9} | changes
    config = SkinBranchConfig(hidden=12, patch_dim=20, **sizes)
    branch = SkinBranch(config)
    output = branch(torch.randn(10, 20), torch.tensor([[1, 2, 2], [1, 2, 3]]))
    assert (output.skin_logits is None, output.balance is None) == (not config.skin_classes, not config.experts)
    found = SkinBranchConfig.from_state(branch.state_dict())
    assert found == config
    SkinBranch(found).load_state_dict(branch.state_dict())


def test_a_second_version_without_its_classifier_is_not_taken_for_a_first(branch: SkinBranch) -> None:
    state = {key: value for key, value in branch.state_dict().items() if "skin_classifier" not in key}
    with pytest.raises(RuntimeError, match=r"Unexpected.*adapters\.0\.router_skin\.weight"):
        SkinBranch(SkinBranchConfig.from_state(state)).load_state_dict(state)


def test_experts_that_get_no_patch_have_no_gradient(branch: SkinBranch) -> None:
    output = branch(torch.randn(1, SIZES.patch_dim), torch.tensor([[1, 1, 1]]))
    output.vision_embed.sum().backward()
    assert output.routing is not None
    for layer, adapter in enumerate(branch.distill_head.adapters):
        used = set(output.routing[layer].flatten().tolist())
        for expert in range(SIZES.experts):
            assert bool(adapter.w_in.grad[expert].any()) <= (expert in used)
            assert bool(adapter.b_out.grad[expert].any()) == (expert in used)
