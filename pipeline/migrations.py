"""The tables of the store, as named migrations: each runs once, in order, in a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping

MIGRATIONS: Mapping[str, str] = {
    "0001_images_labels_sources_decisions_candidates": """
        CREATE TABLE images (
            id TEXT PRIMARY KEY, file TEXT NOT NULL, original_label TEXT,
            status TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'ok', 'set_aside', 'removed')),
            verdict TEXT, reason TEXT NOT NULL DEFAULT '',
            split TEXT CHECK (split IN ('train', 'valid', 'test')), given_split TEXT,
            duplicate_group TEXT, pixels TEXT, phash BLOB, tiny BLOB,
            width INTEGER, height INTEGER, format TEXT, bytes INTEGER NOT NULL, added_at TEXT NOT NULL);
        CREATE INDEX images_status ON images (status);
        CREATE INDEX images_group ON images (duplicate_group);
        CREATE TABLE labels (
            image_id TEXT NOT NULL REFERENCES images (id), label TEXT NOT NULL,
            PRIMARY KEY (image_id, label)) WITHOUT ROWID;
        CREATE TABLE sources (
            image_id TEXT NOT NULL REFERENCES images (id), provider TEXT NOT NULL, name TEXT NOT NULL,
            page_url TEXT, licence TEXT, claimed_label TEXT, at TEXT NOT NULL,
            UNIQUE (image_id, provider, name));
        CREATE TABLE decisions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, image TEXT NOT NULL REFERENCES images (id),
            action TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, at TEXT NOT NULL,
            undone INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE candidates (
            url TEXT NOT NULL, label TEXT NOT NULL, provider TEXT NOT NULL, page_url TEXT, licence TEXT,
            query TEXT, title TEXT, width INTEGER, height INTEGER, added_at TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'new', code TEXT, reason TEXT, sha256 TEXT,
            PRIMARY KEY (url, label));
        CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
    "0002_provenance": """
        ALTER TABLE candidates ADD COLUMN thumbnail TEXT;
        ALTER TABLE candidates ADD COLUMN creator TEXT;
        ALTER TABLE candidates ADD COLUMN licence_url TEXT;
        ALTER TABLE candidates ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
        UPDATE candidates SET again = 1
            WHERE status = 'failed' AND reason LIKE '% It is tried again at the next download.';
        ALTER TABLE sources ADD COLUMN query TEXT;
        ALTER TABLE sources ADD COLUMN title TEXT;
        ALTER TABLE sources ADD COLUMN creator TEXT;
        ALTER TABLE sources ADD COLUMN licence_url TEXT;
        ALTER TABLE sources ADD COLUMN original_sha256 TEXT;
        ALTER TABLE sources ADD COLUMN original_bytes INTEGER;
        CREATE INDEX decisions_image ON decisions (image);
        UPDATE sources SET licence = 'MIT' WHERE licence IS NULL AND provider IN ('starter', 'starter-messy')
    """,
    "0003_quality": "ALTER TABLE images ADD COLUMN quality TEXT",
    "0004_given_splits_and_ignored_problems": """
        ALTER TABLE sources ADD COLUMN given_split TEXT;
        CREATE TABLE ignored (
            kind TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images (id), at TEXT NOT NULL,
            PRIMARY KEY (kind, image_id)) WITHOUT ROWID
    """,
    "0005_batches": """
        ALTER TABLE decisions ADD COLUMN batch TEXT;
        CREATE INDEX decisions_batch ON decisions (batch) WHERE batch IS NOT NULL;
        CREATE INDEX decisions_undone ON decisions (undone) WHERE undone = 1;
        CREATE INDEX labels_label ON labels (label)
    """,
}
