"""--labels, --calibration and --correction: what undoes the classifier's error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ethostat as es
from ethostat.errors import InvalidInput

if TYPE_CHECKING:
    from ethostat.corrected import Labels, Way


@dataclass(frozen=True, slots=True)
class Undoing:
    """The files that were named, read, and the way that was asked for."""

    labels: Labels | None
    calibration: es.Evaluation | None
    way: Way | None

    @classmethod
    def read(cls, labels: Path | None, calibration: Path | None, correction: str, *, taxonomy: es.Taxonomy) -> Undoing:
        """Read what was named, before anything is spent. Raises InvalidInput for what cannot be used."""
        if correction != "auto" and correction not in es.CORRECTIONS:
            raise InvalidInput(f"correction {correction!r} must be auto, {', '.join(es.CORRECTIONS)}")
        if correction in ("joint", "soft") and calibration is None:
            raise InvalidInput(f"{correction} needs --calibration: what `ethostat evaluate --json` printed")
        known = None if calibration is None else es.read_calibration(calibration)
        if correction == "soft" and known is not None:
            es.soft_prior(known)
        given = None if labels is None else es.read_labels(labels, taxonomy=taxonomy)
        return cls(given, known, es.CORRECTIONS.get(correction))

    def check(self, classifier: es.Classifier, taxonomy: es.Taxonomy) -> None:
        """Raises InvalidInput for a calibration of another classifier or other goals."""
        if self.calibration is not None:
            es.check_calibration(self.calibration, classifier=es.classifier_identity(classifier), taxonomy=taxonomy)

    def apply(self, store: es.Store, measured: es.Measurement, taxonomy: es.Taxonomy) -> es.Measurement:
        """The measurement with corrected figures where there is anything to correct it with.

        Labels of the run in the store are used where no file was named.
        """
        labels = self.labels or es.stored_labels(store, measured)
        if labels is None and self.calibration is None and self.way is None:
            return measured
        return es.correct(
            measured,
            es.evidence_of(store, measured),
            taxonomy=taxonomy,
            labels=labels,
            calibration=self.calibration,
            way=self.way,
        )
