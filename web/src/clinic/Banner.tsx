// Who lies on the screen: in the case and again in the dialog that signs it.

import type { CaseView } from "./model";
import { age, useVoice, when } from "./words";

export function Banner({ view }: { view: CaseView }) {
  const { language, t } = useVoice();
  const { patient, study } = view;
  const fact = (name: string, value: string | null | undefined) => (
    <div>
      <dt>{name}</dt>
      <dd class={value ? "" : "muted"}>{value || t.unknown}</dd>
    </div>
  );
  return (
    <div class="patient" role="region" aria-label={t.patient}>
      <div class="who">
        {patient ? (
          <>
            <strong>{patient.name_ideographic || patient.name || t.unknown}</strong>
            {patient.name_ideographic && patient.name && <span>{patient.name}</span>}
          </>
        ) : (
          <span class="muted">{t.identityHidden}</span>
        )}
      </div>
      <dl>
        {patient && fact("ID", patient.id)}
        {patient && fact(t.sex, patient.sex)}
        {patient && fact(t.age, age(patient.age, language))}
        {patient && fact(t.born, patient.birth_date)}
        {fact(t.studyAt, when(study.at))}
        {fact(t.accession, study.accession)}
        {fact(t.view, [study.modality, study.view].filter(Boolean).join(" "))}
        {fact(t.clinicalInformation, study.clinical_information)}
      </dl>
    </div>
  );
}
