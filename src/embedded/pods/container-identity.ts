// Whose rights a container's program has, and where it starts: what its pod says, else its image. Pure.
import type { RunConfig } from "../../contract/image-pull.ts";
import { podUser } from "../../contract/paths.ts";
import type { Container, Pod } from "./pod-types.ts";

export interface Identity {
  uid: number;
  gid: number;
  groups: readonly number[];
  readOnlyRoot: boolean;
  workingDir: string;
}

/** Of our own programs' images where the pod names none: CDI's images run as 1001. */
const ownImagesUser = 1001;

/** @throws Error with a sentence where it would run as root in an image of others, or as nobody knows whom */
export function identityOf({ spec }: Pod, { securityContext, workingDir }: Container, image?: RunConfig): Identity {
  const shared = spec.securityContext ?? {};
  const told = securityContext?.runAsUser ?? shared.runAsUser;
  const said = image && told === undefined ? imagesUser(image.user) : undefined;
  const uid = told ?? said?.uid ?? ownImagesUser;
  const gid = securityContext?.runAsGroup ?? shared.runAsGroup ?? said?.gid ?? (uid === podUser ? podUser : uid);
  // Without a user namespace root here is root of this machine.
  if (image && (uid === 0 || gid === 0))
    throw new Error("this node does not run an image's programs as root: set securityContext.runAsUser");
  const groups = [...(shared.fsGroup === undefined ? [] : [shared.fsGroup]), ...(shared.supplementalGroups ?? [])];
  return {
    uid,
    gid,
    groups,
    readOnlyRoot: securityContext?.readOnlyRootFilesystem === true,
    workingDir: workingDir ?? (image?.workingDir || "/"),
  };
}

function imagesUser(user: string): { uid: number; gid?: number } {
  const [, uid, gid] = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(user || "0") ?? [];
  if (uid === undefined)
    throw new Error(`the image's user ${JSON.stringify(user)} is no number: set securityContext.runAsUser`);
  return { uid: Number(uid), ...(gid === undefined ? {} : { gid: Number(gid) }) };
}
