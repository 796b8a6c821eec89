// What every operation of the server needs at hand, and the shapes they answer with.
import type { KubeObject } from "../../api/meta.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { Row, Store } from "../store/index.ts";
import type { AdmissionHook } from "../types.ts";
import type { UserInfo } from "./auth/user.ts";
import type { Registry } from "./registry.ts";

export interface World {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
  readonly admission: readonly AdmissionHook[];
}

/** An object as it is answered: the frozen value, and the same as JSON. */
export interface Shown {
  readonly value: KubeObject;
  readonly text: string;
}

export const shownRow = (row: Row): Shown => ({ value: row.value as unknown as KubeObject, text: row.text });
export const shownValue = (value: KubeObject): Shown => ({ value, text: JSON.stringify(value) });
export const valueOf = (row: Row): KubeObject => row.value as unknown as KubeObject;

export interface WriteContext {
  /** Who writes. @default the server itself */
  readonly user?: UserInfo;
  readonly subresource?: "status";
  readonly dryRun?: boolean;
  /** What to do with fields the schema does not know. @default "Warn" */
  readonly fieldValidation?: "Ignore" | "Warn" | "Strict";
  /** Texts for the Warning headers of the answer. */
  readonly warn?: (text: string) => void;
  /** What decoding the body has found already: fields named twice. */
  readonly complaints?: readonly string[];
  /** Complaints are about what a patch made, not about a body. */
  readonly patching?: boolean;
  /** Who owns the fields that this write changes. @default "cdi-embedded" */
  readonly manager?: string;
  /** Owners of fields are settled: the draft carries them. */
  readonly tracked?: boolean;
}
