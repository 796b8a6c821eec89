// Which of a bundle's certificates a server of some name is likely to show, for a client that is to trust it: a pure question.
import { X509Certificate } from "node:crypto";
import { certificatesIn } from "./rotation.ts";

/**
 * @param bundle PEM
 * @returns PEM: the valid certificate that bears the host and ends last, with its chain of issuers as far as the bundle has it; where
 * none bears it, all that are valid; undefined where none is
 */
export function presentedFor(host: string, bundle: string, nowMs: number): string | undefined {
  const valid = certificatesIn(bundle)
    .map((pem) => ({ pem, certificate: new X509Certificate(pem) }))
    .filter(({ certificate: { validFromDate, validToDate } }) => +validFromDate <= nowMs && nowMs < +validToDate);
  const bearing = valid.filter(({ certificate }) => certificate.checkHost(host) !== undefined);
  const [last] = bearing.toSorted((a, b) => +b.certificate.validToDate - +a.certificate.validToDate);
  const shown = last ? [last] : valid;
  for (let at = last; at && shown.length <= valid.length;) {
    const { certificate } = at;
    at = valid.find((one) => !shown.includes(one) && certificate.checkIssued(one.certificate));
    if (at) shown.push(at);
  }
  return shown.length > 0 ? shown.map(({ pem }) => pem).join("") : undefined;
}
