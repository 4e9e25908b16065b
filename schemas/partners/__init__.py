"""The partner teams, one file each: ``PARTNER = Partner(...)``, see schemas/partner.py."""
