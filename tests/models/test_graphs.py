"""Every network as one graph: compiled, exported and traced."""

import pytest
import torch
from families import TINY
from torch._dynamo.utils import counters


class GraphsWithoutComplexNumbers:
    """A compiler that runs graphs as they are and looks at their values."""

    def __init__(self):
        self.count = 0

    def __call__(self, graph, _):
        self.count += 1
        for node in graph.graph.nodes:
            value = node.meta.get('example_value')
            assert not (isinstance(value, torch.Tensor) and value.is_complex()), node
        return graph.forward


@pytest.fixture(params=TINY)
def name(request):
    return request.param


def make(name):
    # Matrices as large as the weights of a layer make later stages of an FDResNet slow.
    return TINY[name](out_indices=0) if name == 'FDResNet' else TINY[name]()


@pytest.fixture
def network(name):
    return make(name).eval().requires_grad_(False)


# Filters are stored for 64 x 64 pixels: these are resized in the graph.
SHAPE = (2, 3, 64, 40)


def agree(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


@pytest.mark.thorough
def test_compiles_without_a_graph_break(network):
    torch._dynamo.reset()
    images = torch.randn(SHAPE)
    compiler = GraphsWithoutComplexNumbers()
    agree(torch.compile(network, fullgraph=True, backend=compiler)(images), network(images))
    assert compiler.count == 1


@pytest.mark.thorough
def test_compiled_training_has_the_same_gradients(name):
    torch._dynamo.reset()
    network = make(name).train()
    images = torch.randn(SHAPE)
    gradients = []
    for function in (network, torch.compile(network, fullgraph=True, backend='aot_eager')):
        loss = sum(feature.square().mean() for feature in function(images))
        params = [param for param in network.parameters() if param.requires_grad]
        gradients.append(torch.autograd.grad(loss, params))
    for ours, reference in zip(*gradients, strict=True):
        scale = reference.abs().max().item() + 1e-3
        torch.testing.assert_close(ours, reference, rtol=1e-3, atol=2e-3 * scale)


@pytest.mark.thorough
@pytest.mark.parametrize('name', ['GFNet-flat'], indirect=True)
def test_code_generated_by_inductor(name):
    """For a second size it is generated once more, for other weights not at all."""
    torch._dynamo.reset()
    counters.clear()
    network, other = (make(name).eval().requires_grad_(False) for _ in range(2))
    compiled = torch.compile(network, fullgraph=True)
    with torch.no_grad():
        for count, size in ((1, (64, 40)), (2, (48, 64)), (2, (48, 64))):
            images = torch.randn(1, 3, *size)
            for ours, theirs in zip(compiled(images), network(images), strict=True):
                assert (ours - theirs).norm() < 1e-5 * theirs.norm()
            assert counters['stats']['unique_graphs'] == count
            network.load_state_dict(other.state_dict())


@pytest.mark.thorough
def test_a_saved_program_gives_the_same(network, tmp_path):
    images = torch.randn(1, *SHAPE[1:])
    program = torch.export.export(network, (images,))
    torch.export.save(program, tmp_path / 'network.pt2')
    loaded = torch.export.load(tmp_path / 'network.pt2').module()
    for ours, theirs in zip(loaded(images), network(images), strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@pytest.mark.thorough
def test_torch_export(network, name):
    images = torch.randn(SHAPE)
    # FDConv convolves a batch as groups of one image, whose number is part of the graph.
    dynamic = None if name == 'FDResNet' else {0: torch.export.Dim('batch', max=64)}
    program = torch.export.export(network, (images,), dynamic_shapes=(dynamic,))
    agree(program.module()(images), network(images))
    assert not any(
        isinstance(node.meta.get('val'), torch.Tensor) and node.meta['val'].is_complex()
        for node in program.graph.nodes
    )
    if dynamic:
        more = torch.randn(3, *SHAPE[1:])
        agree(program.module()(more), network(more))


def test_torchscript(network):
    images = torch.randn(SHAPE)
    traced = torch.jit.trace(network, images, check_trace=False)
    agree(traced(images), network(images))
