import { ApiFailure } from "../api/client";
import { basePath } from "../lib/base";

interface Answer {
  data?: { mediaId?: string };
  error?: string;
  code?: string;
}

/** Uploads a file. XMLHttpRequest, because `fetch` reports no progress of an upload. */
export function uploadFile(deviceId: string, file: File, signal: AbortSignal, onProgress: (part: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${basePath}/api/v1/devices/${encodeURIComponent(deviceId)}/media?filename=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      const answer = (request.response ?? {}) as Answer;
      if (request.status < 300 && answer.data?.mediaId) resolve(answer.data.mediaId);
      else reject(new ApiFailure(request.status, answer.code ?? "unknown", answer.error ?? `HTTP ${request.status}`));
    };
    request.onerror = () => reject(new ApiFailure(0, "unreachable", "network error"));
    request.onabort = () => reject(new ApiFailure(0, "aborted", "aborted"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
