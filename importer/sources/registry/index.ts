// The registry source: an image's name to the one disk in it.
import { arch } from "node:process";
import type { Source } from "../../../src/datapath/index.ts";
import type { HttpSourceSettings } from "../http.ts";
import { archiveStore } from "./archive-store.ts";
import { credentialsFrom, passwordCredentials, type Credentials } from "./credentials.ts";
import { imageSource } from "./image-source.ts";
import { goArchitecture } from "./platform.ts";
import { parseImageReference } from "./reference.ts";
import { registryStore } from "./registry-store.ts";

/** @throws Fault ConfigInvalid for a name or an auth file that cannot be used */
export function registrySource(settings: HttpSourceSettings): Source {
  const { url, username, password, registryAuth, architecture, log } = settings;
  const reference = parseImageReference(url);
  const ofFile = (host: string, repository: string): Credentials | undefined =>
    registryAuth && credentialsFrom(registryAuth.reveal(), host, repository);
  const store =
    reference.transport === "docker"
      ? registryStore(
          reference,
          passwordCredentials(username, password) ?? ofFile(reference.host, reference.repository),
          settings,
          log,
        )
      : archiveStore(reference);
  return imageSource({ store, architecture, ownArchitecture: goArchitecture(arch), log });
}
