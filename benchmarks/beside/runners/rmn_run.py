"""rmn, the residual masking network."""

import serve


class Rmn:
    def bring(self):
        import cv2
        from rmn import RMN

        self.cv2, self.make = cv2, RMN

    def load(self):
        self.rmn = self.make()

    def read(self, path):
        return self.cv2.imread(path)

    def analyze(self, picture):
        return len(self.rmn.detect_emotion_for_single_frame(picture))

    def batch(self, paths):
        return sum(self.analyze(self.read(path)) for path in paths)


serve.main(Rmn())
