// Written by tools/generate.py from src/mien/notice/texts.json: the notice for people in front of a camera
// (AI Act, Art. 50(3)), per language of the EU: its name, a heading and a text.

export const NOTICES = {
  en: [
    "English",
    "Facial expressions are analysed here",
    "An emotion recognition system is in operation here. A program estimates from pictures how faces look: their expression (such as happy or neutral) and an age range. It does not know what a person feels.",
  ],
  de: [
    "Deutsch",
    "Hier werden Gesichtsausdrücke analysiert",
    "Hier wird ein Emotionserkennungssystem betrieben. Ein Programm schätzt anhand von Bildern, wie Gesichter aussehen: den Ausdruck (etwa fröhlich oder neutral) und eine Altersspanne. Was ein Mensch fühlt, weiß es nicht.",
  ],
  es: [
    "Español",
    "Aquí se analizan expresiones faciales",
    "Aquí funciona un sistema de reconocimiento de emociones. Un programa estima, a partir de imágenes, cómo se ven los rostros: su expresión (por ejemplo, alegre o neutral) y un intervalo de edad. No sabe lo que siente una persona.",
  ],
  fr: [
    "Français",
    "Les expressions du visage sont analysées ici",
    "Un système de reconnaissance des émotions fonctionne ici. Un programme estime, à partir d’images, l’apparence des visages : leur expression (par exemple joyeuse ou neutre) et une tranche d’âge. Il ne sait pas ce qu’une personne ressent.",
  ],
  it: [
    "Italiano",
    "Qui vengono analizzate le espressioni del viso",
    "Qui è in funzione un sistema di riconoscimento delle emozioni. Un programma stima dalle immagini l’aspetto dei volti: l’espressione (per esempio felice o neutra) e una fascia d’età. Non sa che cosa prova una persona.",
  ],
  nl: [
    "Nederlands",
    "Hier worden gezichtsuitdrukkingen geanalyseerd",
    "Hier is een systeem voor het herkennen van emoties in werking. Een programma schat aan de hand van beelden hoe gezichten eruitzien: de uitdrukking (bijvoorbeeld blij of neutraal) en een leeftijdscategorie. Het weet niet wat iemand voelt.",
  ],
  pl: [
    "Polski",
    "Tutaj analizowana jest mimika twarzy",
    "W tym miejscu działa system rozpoznawania emocji. Program szacuje na podstawie obrazów, jak wyglądają twarze: ich wyraz (na przykład radosny lub neutralny) oraz przedział wieku. Nie wie, co dana osoba czuje.",
  ],
  pt: [
    "Português",
    "Aqui são analisadas expressões faciais",
    "Neste local funciona um sistema de reconhecimento de emoções. Um programa estima, a partir de imagens, a aparência dos rostos: a expressão (por exemplo, feliz ou neutra) e uma faixa etária. Não sabe o que uma pessoa sente.",
  ],
};
