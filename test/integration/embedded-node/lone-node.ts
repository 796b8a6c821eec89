// A node in a process of its own, for tests that kill it: prints a line of JSON per thing it saw.
// Arguments: folder, road, script of its one pod.
import { kinds } from "../../../src/api/kinds.ts";
import { aClaim, aPod, createPod, running, startTestNode, untilPod } from "./node.ts";

const [dir = "", road, script = ""] = process.argv.slice(2);
const node = await startTestNode({ dir, road: road === "device" ? "device" : "folder" });
await node.client.create(aClaim("data", "64Mi", "Filesystem"), kinds.claim);
const pod = aPod("lone", script, {
  volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
  containers: [{ name: "main", image: "sh", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
});
await createPod(node, pod);
await untilPod(node, "lone", running);
process.stdout.write("running\n");
