"""The maker of the shipped sample set: drawn screens and photos, dialogues from templates."""
