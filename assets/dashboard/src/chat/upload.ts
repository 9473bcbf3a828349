import { ApiFailure, mayRepeat, retryAfterMs } from "../api/client";
import { basePath } from "../lib/base";

interface Answer {
  data?: { mediaId?: string };
  error?: string;
  code?: string;
}

/** Uploads a file; a refusal that passes is followed by another try. */
export async function uploadFile(deviceId: string, file: File, signal: AbortSignal, onProgress: (part: number) => void): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await uploadOnce(deviceId, file, signal, onProgress);
    } catch (error) {
      if (!(error instanceof ApiFailure) || !(await mayRepeat(tries, error.status, String(error.retryAfterMs / 1000)))) throw error;
    }
    if (signal.aborted) throw new ApiFailure(0, "aborted", "aborted");
  }
}

/** XMLHttpRequest, because `fetch` reports no progress of an upload. */
function uploadOnce(deviceId: string, file: File, signal: AbortSignal, onProgress: (part: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${basePath}/api/v1/devices/${encodeURIComponent(deviceId)}/media?filename=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      const answer = (request.response ?? {}) as Answer;
      if (request.status < 300 && answer.data?.mediaId) resolve(answer.data.mediaId);
      else reject(new ApiFailure(request.status, answer.code ?? "unknown", answer.error ?? `HTTP ${request.status}`, [], retryAfterMs(request.getResponseHeader("retry-after")), request.getResponseHeader("x-request-id") ?? ""));
    };
    request.onerror = () => reject(new ApiFailure(0, "unreachable", "network error"));
    request.onabort = () => reject(new ApiFailure(0, "aborted", "aborted"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
