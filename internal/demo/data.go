package demo

import (
	"bytes"
	"embed"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
)

//go:embed data
var embedded embed.FS

// rowsPerFile splits the 569 rows as a team would keep daily extracts.
const rowsPerFile = 50

// columns are the 30 measurements, as the data set's documentation names
// them: ten features, each as mean, standard error and worst value.
func columns() string {
	features := []string{"radius", "texture", "perimeter", "area", "smoothness",
		"compactness", "concavity", "concave_points", "symmetry", "fractal_dimension"}
	var out []string
	for _, part := range []string{"mean", "error", "worst"} {
		for _, f := range features {
			out = append(out, part+"_"+f)
		}
	}
	return strings.Join(append(out, "benign"), ",")
}

// layOut writes the training data below dir: measurements in parts, the
// photograph, the attribution. It returns the number of rows.
func layOut(dir string) (rows int, err error) {
	for _, sub := range []string{"measurements", "images"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return 0, err
		}
	}
	csv, err := embedded.ReadFile("data/breast_cancer.csv")
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimRight(string(csv), "\r\n"), "\n")[1:] // the first line is counts and class names
	for i := 0; i < len(lines); i += rowsPerFile {
		part := lines[i:min(i+rowsPerFile, len(lines))]
		name := filepath.Join(dir, "measurements", fmt.Sprintf("part-%02d.csv", i/rowsPerFile))
		text := columns() + "\n" + strings.Join(part, "\n") + "\n"
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return 0, err
		}
	}
	picture, err := embedded.ReadFile("data/flower.jpg")
	if err != nil {
		return 0, err
	}
	photo, err := jpeg.Decode(bytes.NewReader(picture))
	if err != nil {
		return 0, err
	}
	canvas := image.NewNRGBA(photo.Bounds())
	draw.Draw(canvas, canvas.Bounds(), photo, photo.Bounds().Min, draw.Src)
	if err := writePNG(filepath.Join(dir, "images", "flower.png"), canvas); err != nil {
		return 0, err
	}
	note, err := embedded.ReadFile("data/ATTRIBUTION.md")
	if err != nil {
		return 0, err
	}
	return len(lines), os.WriteFile(filepath.Join(dir, "ATTRIBUTION.md"), note, 0o644)
}

func writePNG(path string, img image.Image) error {
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, img); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// flipPixel changes the last bit of the blue of one pixel and says which.
func flipPixel(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	img, err := png.Decode(f)
	f.Close()
	if err != nil {
		return "", err
	}
	canvas := image.NewNRGBA(img.Bounds())
	draw.Draw(canvas, canvas.Bounds(), img, img.Bounds().Min, draw.Src)
	at := image.Pt(canvas.Bounds().Dx()/2, canvas.Bounds().Dy()/2)
	before := canvas.NRGBAAt(at.X, at.Y)
	after := before
	after.B ^= 1
	canvas.SetNRGBA(at.X, at.Y, after)
	hex := func(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
	return fmt.Sprintf("pixel (%d, %d) of %d x %d: %s became %s",
		at.X, at.Y, canvas.Bounds().Dx(), canvas.Bounds().Dy(), hex(before), hex(after)), writePNG(path, canvas)
}

// flipLabels turns the diagnosis of half a percent of the rows, spread over
// the parts, and says where.
func flipLabels(dir string, rows int) ([]string, error) {
	n := (rows*5 + 999) / 1000 // 0.5 percent, rounded up
	var said []string
	for k := range n {
		row := (2*k + 1) * rows / (2 * n)
		name := fmt.Sprintf("measurements/part-%02d.csv", row/rowsPerFile)
		path := filepath.Join(dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(string(data), "\n")
		line := 1 + row%rowsPerFile
		old := lines[line]
		switch {
		case strings.HasSuffix(old, ",0"):
			lines[line] = strings.TrimSuffix(old, "0") + "1"
			said = append(said, fmt.Sprintf("%s line %d: malignant became benign", name, line+1))
		case strings.HasSuffix(old, ",1"):
			lines[line] = strings.TrimSuffix(old, "1") + "0"
			said = append(said, fmt.Sprintf("%s line %d: benign became malignant", name, line+1))
		default:
			return nil, fmt.Errorf("%s line %d: no label at its end: %q", name, line+1, old)
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			return nil, err
		}
	}
	return said, nil
}
