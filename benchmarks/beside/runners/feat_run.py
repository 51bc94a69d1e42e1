"""py-feat."""

import serve


class Feat:
    def bring(self):
        from feat import Detectorv1

        self.make = Detectorv1

    def load(self):
        self.detector = self.make(device="cpu")

    def read(self, path):
        return path

    def analyze(self, picture):
        return len(self.detector.detect(picture, data_type="image", progress_bar=False))

    def batch(self, paths):
        return len(self.detector.detect(list(paths), data_type="image", progress_bar=False))


serve.main(Feat())
