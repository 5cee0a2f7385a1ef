"""The design that comes to mind first: DRF, the ORM, and one Celery task for every event."""
