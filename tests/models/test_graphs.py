"""Every network as one graph: compiled, exported and traced."""

import pytest
import torch
from families import TINY


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
def test_code_generated_by_inductor():
    torch._dynamo.reset()
    network = TINY['GFNet-flat']().eval()
    images = torch.randn(SHAPE)
    with torch.no_grad():
        agree(torch.compile(network, fullgraph=True)(images), network(images))


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
