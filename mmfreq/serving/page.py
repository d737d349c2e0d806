"""The page: an image goes in, a prediction and the spectra behind it come out."""

from functools import partial
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from mmfreq.datasets.bands import HIGHEST
from mmfreq.serving.answers import change, fit, overlay, table
from mmfreq.serving.network import Network, Seen
from mmfreq.utils.errors import DataError

__all__ = ['CSS', 'THEME', 'Answers', 'build_page']

STRENGTHS = {  # of the one slider beside a prediction: label, value
    'mmseg': ('Opacity of the colours', 0.55),
    'mmdet': ('Lowest score of a box', 0.3),
    'mmpretrain': ('', 0.0),
}
HOUR = 3600  # seconds after which what nobody looks at is forgotten

# No fonts of others.
FONTS = ['system-ui', 'sans-serif']
THEME = gr.themes.Default(font=FONTS, font_mono=['ui-monospace', 'monospace'])
CSS = """
.gradio-container { max-width: 1280px !important; margin: 0 auto !important; }
footer { display: none !important; }
.found { display: flex; gap: 32px; align-items: flex-start; } .found > * { flex: 1; }
.found table { border-collapse: collapse; font-size: 14px; width: 100%; margin: 0 !important; }
.found table, .found tr { border: none !important; }
.found th, .found td { border: none !important; padding: 4px 6px !important; text-align: left; }
.found td { border-top: 1px solid var(--border-color-primary) !important; }
.found td:last-child { text-align: right;
  white-space: nowrap; width: 4.5em; }
.found td i { display: inline-block; width: 14px; height: 14px; margin-right: 8px;
  vertical-align: -2px; border: 1px solid #8888; border-radius: 3px; }
.found .bar { display: block; width: 120px; height: 8px; background: #8883;
  border-radius: 4px; overflow: hidden; }
.found .bar span { display: block; height: 100%; background: var(--color-accent); }
.change { font-size: 16px; } .change b { font-size: 24px; }
.problem { color: #b91c1c; background: #fee2e2; padding: 10px 14px; border-radius: 8px; }
"""
BANDS = f"""\
The sliders remove all frequencies between *low* and *high* from the image, in every direction, and
the filtered image is predicted again. 0 is the mean of the image, which always stays; 0.5 cycles
per pixel is the finest pattern along rows and columns, {HIGHEST:.2f} along the diagonal."""
SPECTRA = """\
Frequency 0 is in the middle: bright corners mean fine detail. Below, a curve for each block: how
much of each frequency is left, relative to frequency 0. Shown is the centred square of what the
backbone was given."""
FILTERS = """\
Filters and gains that this network has learned. What depends on the image is shown for this
image."""
NO_FILTERS = """\
**{name} has no learned filters in the frequency domain.** Its layers work on pixels, so there are
no gains to show; the spectra of its maps are in the tab beside this one."""

Image = NDArray[np.uint8]


class Answers:
    """What the page shows after each event; everything is empty without an image.

    Args:
        network (Network): The network.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def look(self, path: str | None, strength: float) -> tuple[Seen | None, str, Image | None, str]:
        """Predict an uploaded image.

        Args:
            path (str, optional): The uploaded file.
            strength (float): See :func:`mmfreq.serving.answers.overlay`.

        Returns:
            tuple: What was seen, a message about what went wrong, the overlay and the table.
        """
        if path is None:
            return None, '', None, ''
        try:
            seen = self.network.look(path)
        except DataError as error:
            return None, f'<div class="problem">{escape(str(error))}</div>', None, ''
        return seen, '', overlay(seen.prediction, strength), table(seen.prediction, strength)

    def filter(
        self, seen: Seen | None, low: float, high: float, strength: float
    ) -> tuple[Seen | None, Image | None, Image | None, str]:
        """Remove a band of frequencies from the image and predict it again.

        Args:
            seen (Seen, optional): The image.
            low (float): In cycles per pixel.
            high (float): In cycles per pixel.
            strength (float): See :func:`mmfreq.serving.answers.overlay`.

        Returns:
            tuple: What was seen without the band, the filtered image, its overlay, and what
            changes.
        """
        if seen is None:
            return None, None, None, ''
        if low > high:
            problem = f'low is {low:g} and high is {high:g}: nothing is between them'
            return None, None, None, f'<div class="problem">{problem}</div>'
        try:
            after = self.network.without_band(seen, low, high)
        except DataError as error:
            return None, None, None, f'<div class="problem">{escape(str(error))}</div>'
        words = change(seen.prediction, after.prediction, strength)
        return after, fit(after.prediction.image), overlay(after.prediction, strength), words

    def redraw(self, seen: Seen | None, after: Seen | None, strength: float) -> list[Any]:
        """Draw predictions again, which does not run the network.

        Args:
            seen (Seen, optional): The image.
            after (Seen, optional): The image without a band.
            strength (float): See :func:`mmfreq.serving.answers.overlay`.

        Returns:
            list: The overlay and the table, the overlay without the band and what changes; nothing
            new for an image that there is not.
        """
        answers: list[Any] = [gr.skip()] * 4
        if seen is not None:
            answers[:2] = overlay(seen.prediction, strength), table(seen.prediction, strength)
        if seen is not None and after is not None:
            words = change(seen.prediction, after.prediction, strength)
            answers[2:] = overlay(after.prediction, strength), words
        return answers

    def spectra(self, seen: Seen | None) -> list[Any]:
        """Draw spectra of the feature maps.

        Args:
            seen (Seen, optional): The image.

        Returns:
            list: Two pictures; one that there is not is hidden.
        """
        found = [] if seen is None else self.network.spectra(seen)
        return _two(found)

    def filters(self, seen: Seen | None) -> list[Any]:
        """Draw the gains of learned filters.

        Args:
            seen (Seen, optional): The image.

        Returns:
            list: A text, then two pictures; one that there is not is hidden.
        """
        if seen is None:
            return ['', *_two([])]
        found = self.network.filters(seen)
        name = type(self.network.backbone).__name__
        return [FILTERS if found else NO_FILTERS.format(name=name), *_two(found)]


def build_page(network: Network, title: str, about: str) -> gr.Blocks:
    """Build the page.

    Args:
        network (Network): The network.
        title (str): Heading.
        about (str): A line below it.

    Returns:
        gr.Blocks: The page.
    """
    answers = Answers(network)
    label, value = STRENGTHS.get(network.task, STRENGTHS['mmpretrain'])
    picture = partial(gr.Image, interactive=False, buttons=['download', 'fullscreen'])
    figure = partial(picture, format='png', show_label=False, visible=False)
    words = partial(gr.HTML, padding=False)
    with gr.Blocks(title=f'mmfreq: {title}', delete_cache=(600, HOUR)) as page:
        seen, after = gr.State(time_to_live=HOUR), gr.State(time_to_live=HOUR)
        gr.Markdown(f'# {title}\n{about}', elem_id='title')
        with gr.Row():
            with gr.Column():
                upload = gr.Image(
                    label='Image: drop, paste or choose a file',
                    type='filepath',
                    sources=['upload', 'clipboard'],
                    elem_id='upload',
                    height=360,
                )
                problem = words(elem_id='problem')
            with gr.Column():
                shown = picture(label='Prediction', elem_id='prediction', height=360)
                strength = gr.Slider(
                    0, 1, value, step=0.05, label=label, visible=bool(label), elem_id='strength'
                )
        found = words(elem_id='found')
        with gr.Tab('Without a band of frequencies'):
            gr.Markdown(BANDS)
            with gr.Row():
                low = gr.Slider(0, round(HIGHEST, 2), 0.2, step=0.01, label='low', elem_id='low')
                high = gr.Slider(
                    0, round(HIGHEST + 0.005, 2), 0.71, step=0.01, label='high', elem_id='high'
                )
            changed = words(elem_id='changed')
            with gr.Row():
                filtered = picture(label='Filtered image', elem_id='filtered', height=360)
                again = picture(label='Its prediction', elem_id='again', height=360)
        with gr.Tab('Spectra of the feature maps'):
            gr.Markdown(SPECTRA)
            spectra = [figure(elem_id=f'spectra{i}') for i in range(2)]
        with gr.Tab('Learned filters'):
            what = gr.Markdown(elem_id='what')
            filters = [figure(elem_id=f'filters{i}') for i in range(2)]

        upload.preprocess = _path_of_upload
        heavy = dict(api_visibility='private', concurrency_id='network', concurrency_limit=1)
        band = (answers.filter, [seen, low, high, strength], [after, filtered, again, changed])
        looked = upload.change(
            answers.look, [upload, strength], [seen, problem, shown, found], **heavy
        )
        looked.then(*band, **heavy).then(answers.spectra, seen, spectra, **heavy).then(
            answers.filters, seen, [what, *filters], **heavy
        )
        often = dict(trigger_mode='always_last', show_progress='hidden')
        strength.change(
            answers.redraw,
            [seen, after, strength],
            [shown, found, again, changed],
            **often,
            api_visibility='private',
        )
        gr.on([low.change, high.change], *band, **often, **heavy)
    return page


def _two(images: list[Image]) -> list[Any]:
    shown = [gr.update(value=image, visible=True) for image in images]
    return [*shown, *[gr.update(value=None, visible=False)] * 2][:2]


def _path_of_upload(payload: Any) -> str | None:
    """The uploaded file as it is; Gradio would open it with Pillow and show what Pillow says."""
    return None if payload is None else payload.path
