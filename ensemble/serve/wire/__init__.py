"""The wire formats of decision models, for the panel's labels: ``/v1/decisions``, ``/v1/systemone``, ``/v1/models``."""
