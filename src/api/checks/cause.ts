// One complaint about an object, as metav1.StatusCause carries it.

export interface Cause {
  type: string;
  message: string;
  field: string;
}

export const invalid = (field: string, message: string): Cause => ({ type: "FieldValueInvalid", message, field });
export const duplicate = (field: string, message: string): Cause => ({ type: "FieldValueDuplicate", message, field });

/** The first check with something to say; later ones are not run. */
export function firstComplaint(checks: readonly (() => Cause[])[]): Cause[] {
  for (const check of checks) {
    const causes = check();
    if (causes.length > 0) return causes;
  }
  return [];
}

/** status.message of a refusal: every cause's message with a space before it (admission.md section 1). */
export const messageOf = (causes: readonly Cause[]): string => causes.map(({ message }) => ` ${message}`).join("");
