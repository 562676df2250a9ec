"""The settings of the tiny panel: it trains in seconds, on a CPU, without a download."""

SETTINGS = """
name: tiny
folds: 2
panel: {image: [clip_lightgbm], dialogue: [dialogue_text]}
clip: {model: mire-nano, weights: random}
dialogue_text: {template_weight: 0, turn_weight: 0}
"""
