"""Support-vector machines on feature vectors (scikit-learn): train, save, load and score them.

Source: A. Horseman, "Facial expressions recognition using SVM"
(github.com/amineHorseman/facial-expression-recognition-svm); its settings are in `mien.published.recipes.svm`.
"""
