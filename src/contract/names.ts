// Names of what the controllers make and others look for, cut to what Kubernetes allows (interfaces/importer.md 2.1). Deterministic: a stale
// view then meets "already exists" instead of making a twin.

const nameLimit = 253;

/** FNV-1a, 32 bits, as 8 hex digits. */
export function fnv1a32(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, "utf8")) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** `base-suffix`, or a shortened base with its hash where that is too long. */
export function nameFor(base: string, suffix: string, limit = nameLimit): string {
  const whole = `${base}-${suffix}`;
  if (whole.length <= limit) return whole;
  const room = limit - 10 - suffix.length;
  if (room <= 0) return `${base.slice(0, limit - 9)}-${fnv1a32(whole)}`;
  return `${base.slice(0, room)}-${fnv1a32(base)}-${suffix}`;
}

export const uploadPodName = (claim: string): string => nameFor("cdi-upload", claim);

const labelLimit = 63;
/** Of the Service in front of an upload server: a DNS label. */
export function uploadServiceName(claim: string): string {
  const name = uploadPodName(claim).replaceAll(".", "-");
  return name.length > labelLimit ? nameFor(name, "cdi", labelLimit) : name;
}
