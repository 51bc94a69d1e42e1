// What people in front of a camera are told (AI Act, Art. 50(3)), in languages of the EU: a heading and a text.

export const NOTICES = {
  en: [
    "English",
    "Facial expressions are analysed here",
    "A program estimates from pictures how faces look: their expression (such as happy or neutral) and an age range. It does not know what a person feels.",
  ],
  de: [
    "Deutsch",
    "Hier werden Gesichtsausdrücke analysiert",
    "Ein Programm schätzt anhand von Bildern, wie Gesichter aussehen: den Ausdruck (etwa fröhlich oder neutral) und eine Altersspanne. Was ein Mensch fühlt, weiß es nicht.",
  ],
  es: [
    "Español",
    "Aquí se analizan expresiones faciales",
    "Un programa estima, a partir de imágenes, cómo se ven los rostros: su expresión (por ejemplo, alegre o neutral) y un intervalo de edad. No sabe lo que siente una persona.",
  ],
  fr: [
    "Français",
    "Les expressions du visage sont analysées ici",
    "Un programme estime, à partir d’images, l’apparence des visages : leur expression (par exemple joyeuse ou neutre) et une tranche d’âge. Il ne sait pas ce qu’une personne ressent.",
  ],
  it: [
    "Italiano",
    "Qui vengono analizzate le espressioni del viso",
    "Un programma stima dalle immagini l’aspetto dei volti: l’espressione (per esempio felice o neutra) e una fascia d’età. Non sa che cosa prova una persona.",
  ],
  nl: [
    "Nederlands",
    "Hier worden gezichtsuitdrukkingen geanalyseerd",
    "Een programma schat aan de hand van beelden hoe gezichten eruitzien: de uitdrukking (bijvoorbeeld blij of neutraal) en een leeftijdscategorie. Het weet niet wat iemand voelt.",
  ],
  pl: [
    "Polski",
    "Tutaj analizowana jest mimika twarzy",
    "Program szacuje na podstawie obrazów, jak wyglądają twarze: ich wyraz (na przykład radosny lub neutralny) oraz przedział wieku. Nie wie, co dana osoba czuje.",
  ],
  pt: [
    "Português",
    "Aqui são analisadas expressões faciais",
    "Um programa estima, a partir de imagens, a aparência dos rostos: a expressão (por exemplo, feliz ou neutra) e uma faixa etária. Não sabe o que uma pessoa sente.",
  ],
};
