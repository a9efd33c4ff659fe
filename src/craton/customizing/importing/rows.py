"""These nouns as rows."""

from __future__ import annotations

from craton.customizing.importing import tables
from craton.customizing.importing.values import CopyJob, ImportedModel, ImportJob
from craton.customizing.rows import Rows

import_jobs = Rows(tables.jobs, ImportJob, "model import job", ("output", "job", "status"))
imported_models = Rows(tables.models, ImportedModel, "imported model", ())
copies = Rows(tables.copies, CopyJob, "model copy job", ("source", "status"))
