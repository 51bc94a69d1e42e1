"""deepface, with the fastest of its detectors."""

import sys

import serve


class DeepFacePeer:
    def bring(self):
        import cv2
        from deepface import DeepFace

        self.cv2, self.deepface = cv2, DeepFace

    def load(self):
        self.deepface.build_model("Emotion", task="facial_attribute")

    def read(self, path):
        return self.cv2.imread(path)

    def analyze(self, picture):
        return len(self.deepface.analyze(picture, actions=["emotion"], detector_backend=sys.argv[2]))

    def batch(self, paths):
        return sum(self.analyze(self.read(path)) for path in paths)


serve.main(DeepFacePeer())
