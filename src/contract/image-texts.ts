// Upstream's words for an image that cannot be imported, which its controller and ours look for (interfaces/registry.md sections 2 and 3).
// The registry source says them of what it reads, the image server of where it stands.

/** Behind the colon the words are ours: upstream's are not known to anyone who looks for them. */
export const bootcRefused = "bootc image detected: conversion of bootable containers is not implemented";

/** Before each of `noDiskBecause`. */
export const cannotLocate = "Cannot locate image file";

export const noDiskBecause = {
  folderMissing: "image directory does not exist",
  folderEmpty: "image file does not exist in image directory - directory is empty",
  severalFiles: "image directory contains more than one file",
  folderInside: "image directory contains another directory",
  /** As upstream writes it. */
  nameBlank: "image file does has no name",
} as const;
