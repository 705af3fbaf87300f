# What this project uses of cv2-enumerate-cameras (1.x), which is installed on Windows and macOS alone.

class CameraInfo:
    index: int
    name: str | None
    path: str | None

def enumerate_cameras(apiPreference: int = ...) -> list[CameraInfo]: ...
