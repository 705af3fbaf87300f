# What this project uses of AVFoundation through PyObjC (10 to 12), which is installed on macOS alone.

AVMediaTypeVideo: str

class AVCaptureDevice:
    @classmethod
    def authorizationStatusForMediaType_(cls, media_type: str) -> int: ...
    @classmethod
    def deviceWithUniqueID_(cls, unique_id: str) -> AVCaptureDevice | None: ...
    def transportType(self) -> int: ...
