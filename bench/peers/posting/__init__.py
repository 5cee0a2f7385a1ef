"""Other people's ways to book a payment: django-hordak, django-ledger, the ORM, and one Celery task for each."""
