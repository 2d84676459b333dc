"""The looks of the app: colours, corners and letters, in light and dark."""

from __future__ import annotations

import gradio as gr


def theme() -> gr.themes.Base:
    """The looks: quiet stone, one green, the fonts the reader's machine has; light and dark."""
    looks = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    return looks.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_padding="0px",
        block_label_background_fill="*background_fill_primary",
        block_title_text_weight="500",
        block_title_text_color="*body_text_color",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_color_dark="*body_text_color_subdued",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_border_color="*primary_700",
        button_primary_border_color_hover="*primary_800",
        button_primary_border_color_dark="*primary_700",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        button_large_text_weight="500",
        button_large_text_size="*text_md",
        button_large_padding="10px 18px",
        color_accent="*primary_700",
        input_background_fill="*background_fill_primary",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
    )
