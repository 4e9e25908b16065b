"""Chooses the locales of which workers read the stored content hashes, from the log of ``listings``."""

from spark.delta.log import list_files_by
from spark.ingest.staging.known_contents import FEED_BYTES_PER_ROW, MAX_KNOWN_ROWS, ContentFiles


def list_content_files(listings: str, feed_bytes: int) -> ContentFiles | None:
    """Those of the newest version. Locales that are large beside the feed are left out; None where all are."""
    version, by_locale = list_files_by(listings, "locale")
    limit = min(MAX_KNOWN_ROWS, feed_bytes // FEED_BYTES_PER_ROW)
    rows = {locale: sum(count for _, count in files) for locale, files in by_locale.items()}
    chosen = {locale: tuple(path for path, _ in by_locale[locale]) for locale, count in rows.items() if count <= limit}
    if not chosen:
        return None
    return ContentFiles(version=version, paths=chosen, rows={locale: rows[locale] for locale in chosen})
