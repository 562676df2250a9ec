"""How the page looks: the report's colours and fonts, in light and dark."""

import gradio as gr

_FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "sans-serif")
_RUST = gr.themes.Color(
    "#fdf4f0", "#fbe6de", "#f6c9b8", "#f0a488", "#e87a54", "#d9572c",
    "#c8471f", "#a63a19", "#853017", "#6b2916", "#3c140a",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Paper, cards with thin lines, one accent; no shadow, no font that would be fetched."""
    base = gr.themes.Default(
        primary_hue=_RUST,
        neutral_hue="stone",
        radius_size=gr.themes.sizes.radius_md,
        font=_FONTS,
        font_mono=("ui-monospace", "monospace"),
    )
    return base.set(
        body_background_fill="#f6f6f4",
        body_background_fill_dark="#17181a",
        background_fill_primary_dark="#202225",
        block_background_fill="#ffffff",
        block_background_fill_dark="#202225",
        block_border_color="#e3e3de",
        block_border_color_dark="#34373b",
        block_shadow="none",
        border_color_primary="#e3e3de",
        border_color_primary_dark="#34373b",
        input_background_fill_dark="#1b1d1f",
        button_primary_background_fill="#c8471f",
        button_primary_background_fill_dark="#c8471f",
        button_primary_background_fill_hover="#a63a19",
        button_primary_background_fill_hover_dark="#d9572c",
        button_primary_shadow="none",
    )
