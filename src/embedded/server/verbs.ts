// The verbs each kind is served with.

export const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;
export const patchableVerbs = ["get", "patch", "update"] as const;
