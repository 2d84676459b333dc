"""Data sets as they are downloaded: competitions, collections of universities, what people upload for each other."""

from __future__ import annotations

from tests.support.cases import ANY, LEFT_OUT, Case, classes, each, rows, shows

TRAIN = (None, "train")
NUMBERS = range(2)
WNIDS = ("n01443537", "n01629819")
NIH = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,Width,Height,"
GTSRB = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
ISIC_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"

TABLE_AND_FOLDERS = {
    "a table, train_images and test_images": Case(
        {
            "train.csv": rows("image_id,label", *(f"{1000 + n},{('healthy', 'rust')[n % 2]}" for n in range(6))),
            "sample_submission.csv": rows("image_id,label", "2000,healthy", "2001,healthy"),
            **each("train_images/{}.jpg", (1000, 1002, 1004), shows("healthy")),
            **each("train_images/{}.jpg", (1001, 1003, 1005), shows("rust")),
            **each("test_images/{}.jpg", (2000, 2001), shows()),
        },
        says=("train.csv", "label", "test_images"),
    ),
    "the same, called labels.csv": Case(
        {
            "labels.csv": rows("image_id,label", *(f"{1000 + n},{('healthy', 'rust')[n % 2]}" for n in range(6))),
            "sample_submission.csv": rows("image_id,label", "2000,healthy", "2001,healthy"),
            **each("train_images/{}.jpg", (1000, 1002, 1004), shows("healthy")),
            **each("train_images/{}.jpg", (1001, 1003, 1005), shows("rust")),
            **each("test_images/{}.jpg", (2000, 2001), shows()),
        },
        says=("labels.csv", "test_images"),
    ),
    "dog-breed: ids of hex digits, train and test": Case(
        {
            "labels.csv": rows("id,breed", "000bec180eb18c76,boston_bull", "001513dfcb2ffafc,dingo", "00a338a9,dingo"),
            "sample_submission.csv": rows("id,boston_bull,dingo", "00102ee9,0.5,0.5"),
            "train/000bec180eb18c76.jpg": shows("boston_bull", TRAIN),
            "train/001513dfcb2ffafc.jpg": shows("dingo", TRAIN),
            "train/00a338a9.jpg": shows("dingo", TRAIN),
            "test/00102ee9.jpg": shows(),
        },
        says=("labels.csv", "breed"),
    ),
    "aptos2019: id_code and diagnosis": Case(
        {
            "train.csv": rows("id_code,diagnosis", "000c1434d8d7,2", "001639a390f0,4", "0024cdab0c1e,1", "002c2135,0"),
            "test.csv": rows("id_code", "0005cfc8afb6"),
            "sample_submission.csv": rows("id_code,diagnosis", "0005cfc8afb6,0"),
            "train_images/000c1434d8d7.png": shows("2"),
            "train_images/001639a390f0.png": shows("4"),
            "train_images/0024cdab0c1e.png": shows("1"),
            "train_images/002c2135.png": shows("0"),
            "test_images/0005cfc8afb6.png": shows(),
        },
        says=("train.csv", "diagnosis"),
    ),
    "cassava: numbers whose names are in a JSON file": Case(
        {
            "train.csv": rows("image_id,label", "1000015157.jpg,0", "1000201771.jpg,3", "100042118.jpg,3"),
            "label_num_to_disease_map.json": '{"0": "Bacterial Blight (CBB)", "3": "Mosaic Disease (CMD)"}',
            "sample_submission.csv": rows("image_id,label", "2216849948.jpg,4"),
            "train_images/1000015157.jpg": shows(("0", "Bacterial Blight (CBB)")),
            "train_images/1000201771.jpg": shows(("3", "Mosaic Disease (CMD)")),
            "train_images/100042118.jpg": shows(("3", "Mosaic Disease (CMD)")),
            "test_images/2216849948.jpg": shows(),
        },
        says=("train.csv",),
    ),
    "plant-pathology 2020: one-hot, both sets in one folder": Case(
        {
            "train.csv": rows("image_id,healthy,rust,scab", "Train_0,0,0,1", "Train_1,0,1,0", "Train_2,1,0,0"),
            "test.csv": rows("image_id", "Test_0"),
            "sample_submission.csv": rows("image_id,healthy,rust,scab", "Test_0,0.25,0.25,0.25"),
            "images/Train_0.jpg": shows("scab"),
            "images/Train_1.jpg": shows("rust"),
            "images/Train_2.jpg": shows("healthy"),
            "images/Test_0.jpg": shows(),
        },
        says=("train.csv",),
    ),
    "plant-pathology 2021: labels with blanks between them": Case(
        {
            "train.csv": rows(
                "image,labels",
                "800113bb65efe69e.jpg,healthy",
                "8002cb321f8bfcdf.jpg,scab frog_eye_leaf_spot complex",
                "80070f7fb5e2ccaa.jpg,scab",
                "80077517781fb94f.jpg,scab frog_eye_leaf_spot",
                "800cbf0ff87721f8.jpg,complex",
            ),
            "train_images/800113bb65efe69e.jpg": shows("healthy"),
            "train_images/8002cb321f8bfcdf.jpg": shows("complex|frog_eye_leaf_spot|scab"),
            "train_images/80070f7fb5e2ccaa.jpg": shows("scab"),
            "train_images/80077517781fb94f.jpg": shows("frog_eye_leaf_spot|scab"),
            "train_images/800cbf0ff87721f8.jpg": shows("complex"),
            "test_images/85f8cb619c66b863.jpg": shows(),
        },
        says=("train.csv", "labels"),
    ),
    "CIFAR-10 of Kaggle: train/1.png and test/1.png": Case(
        {
            "trainLabels.csv": rows("id,label", "1,frog", "2,truck", "3,truck"),
            "sampleSubmission.csv": rows("id,label", "1,cat", "2,cat"),
            "train/1.png": shows("frog", TRAIN),
            "train/2.png": shows("truck", TRAIN),
            "train/3.png": shows("truck", TRAIN),
            **each("test/{}.png", (1, 2), shows()),
        },
        says=("trainLabels.csv",),
    ),
    "butterflies: a table for each folder, with the same names": Case(
        {
            "Training_set.csv": rows("filename,label", "Image_1.jpg,ADONIS BLUE", "Image_2.jpg,MONARCH"),
            "Testing_set.csv": rows("filename", "Image_1.jpg", "Image_2.jpg"),
            "train/Image_1.jpg": shows("ADONIS BLUE", TRAIN),
            "train/Image_2.jpg": shows("MONARCH", TRAIN),
            **each("test/Image_{}.jpg", (1, 2), shows()),
        },
        says=("Training_set.csv",),
    ),
    "distracted drivers: class folders in train, loose files in test": Case(
        {
            "driver_imgs_list.csv": rows("subject,classname,img", "p002,c0,img_44733.jpg", "p012,c1,img_72999.jpg"),
            "imgs/train/c0/img_44733.jpg": shows("c0", TRAIN),
            "imgs/train/c1/img_72999.jpg": shows("c1", TRAIN),
            **each("imgs/test/img_{}.jpg", NUMBERS, shows()),
        }
    ),
    "the Amazon from above: tags, and folders called train-jpg and test-jpg": Case(
        {
            "train_v2.csv": rows("image_name,tags", "train_0,haze primary", "train_1,clear primary", "train_2,clear"),
            "train-jpg/train_0.jpg": shows("haze|primary"),
            "train-jpg/train_1.jpg": shows("clear|primary"),
            "train-jpg/train_2.jpg": shows("clear"),
            "test-jpg/test_0.jpg": shows(),
        },
        says=("train_v2.csv",),
    ),
    "histopathologic cancer: TIFF files and numbers": Case(
        {
            "train_labels.csv": rows("id,label", "f38a6374c348f90b,0", "c18f2d887b7ae4f6,1"),
            "sample_submission.csv": rows("id,label", "0b2ea2a822ad23fd,0"),
            "train/f38a6374c348f90b.tif": shows("0", TRAIN),
            "train/c18f2d887b7ae4f6.tif": shows("1", TRAIN),
            "test/0b2ea2a822ad23fd.tif": shows(),
        }
    ),
}

MEDICAL = {
    "HAM10000: two parts, each there twice, and the pixels as a table": Case(
        {
            "HAM10000_metadata.csv": rows(
                "lesion_id,image_id,dx,dx_type,age,sex,localization",
                "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp",
                "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp",
                "HAM_0002730,ISIC_0026769,nv,follow_up,,female,face",
            ),
            "hmnist_8_8_L.csv": rows("pixel0000,pixel0001,label", "169,171,2", "19,22,2", "200,100,4"),
            "HAM10000_images_part_1/ISIC_0027419.jpg": shows("bkl"),
            "HAM10000_images_part_1/ISIC_0025030.jpg": shows("bkl"),
            "HAM10000_images_part_2/ISIC_0026769.jpg": shows("nv"),
            "ham10000_images_part_1/ISIC_0027419.jpg": shows("bkl", same="HAM10000_images_part_1/ISIC_0027419.jpg"),
            "ham10000_images_part_1/ISIC_0025030.jpg": shows("bkl", same="HAM10000_images_part_1/ISIC_0025030.jpg"),
            "ham10000_images_part_2/ISIC_0026769.jpg": shows("nv", same="HAM10000_images_part_2/ISIC_0026769.jpg"),
        },
        says=("HAM10000_metadata.csv", "dx"),
    ),
    "ISIC 2018: one-hot with 1.0 in a folder of its own": Case(
        {
            "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv": rows(
                ISIC_2018, "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0", "ISIC_0024310,1.0,0.0,0.0,0.0,0.0,0.0,0.0"
            ),
            "ISIC2018_Task3_Training_GroundTruth/LICENSE.txt": "CC BY-NC",
            "ISIC2018_Task3_Training_Input/ATTRIBUTION.txt": "who made them",
            "ISIC2018_Task3_Training_Input/ISIC_0024306.jpg": shows("NV", TRAIN),
            "ISIC2018_Task3_Training_Input/ISIC_0024310.jpg": shows("MEL", TRAIN),
            "ISIC2018_Task3_Test_Input/ISIC_0034524.jpg": shows(),
        },
        says=("GroundTruth.csv",),
    ),
    "ISIC 2019: a table of labels and one about patients": Case(
        {
            "ISIC_2019_Training_GroundTruth.csv": rows(
                "image,MEL,NV,UNK", "ISIC_0000000,0.0,1.0,0.0", "ISIC_0000001_downsampled,1.0,0.0,0.0"
            ),
            "ISIC_2019_Training_Metadata.csv": rows(
                "image,age_approx,anatom_site_general,lesion_id,sex",
                "ISIC_0000000,55.0,anterior torso,,female",
                "ISIC_0000001_downsampled,30.0,anterior torso,,female",
            ),
            "ISIC_2019_Training_Input/ISIC_0000000.jpg": shows("NV", TRAIN),
            "ISIC_2019_Training_Input/ISIC_0000001_downsampled.jpg": shows("MEL", TRAIN),
        },
        says=("GroundTruth.csv",),
    ),
    "ISIC 2020: three columns that could be the label": Case(
        {
            "train.csv": rows(
                "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target",
                "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0",
                "ISIC_0149568,IP_0962375,female,55.0,upper extremity,melanoma,malignant,1",
                "ISIC_0052212,IP_2842074,female,50.0,lower extremity,nevus,benign,0",
            ),
            "test.csv": rows(
                "image_name,patient_id,sex,age_approx,anatom_site_general_challenge",
                "ISIC_0052060,IP_3579794,male,70.0,head/neck",
            ),
            "jpeg/train/ISIC_2637011.jpg": shows(("unknown", "benign", "0"), TRAIN),
            "jpeg/train/ISIC_0149568.jpg": shows(("melanoma", "malignant", "1"), TRAIN),
            "jpeg/train/ISIC_0052212.jpg": shows(("nevus", "benign", "0"), TRAIN),
            "jpeg/test/ISIC_0052060.jpg": shows(),
        },
        says=("train.csv", "diagnosis", "benign_malignant", "target"),
    ),
    "NIH chest X-rays: findings, twelve parts, lists, boxes": Case(
        {
            "Data_Entry_2017.csv": rows(
                NIH,
                "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,",
                "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,",
                "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,",
                "00000013_005.png,Emphysema,5,13,60,M,AP,3056,2544,",
            ),
            "BBox_List_2017.csv": rows("Image Index,Finding Label,Bbox [x,y,w,h]", "00000013_005.png,Atelectasis,1,2"),
            "train_val_list.txt": rows("00000001_000.png", "00000001_001.png", "00000002_000.png"),
            "test_list.txt": rows("00000013_005.png"),
            "README_CHESTXRAY.pdf": "%PDF",
            "images_001/images/00000001_000.png": shows("Cardiomegaly", TRAIN),
            "images_001/images/00000001_001.png": shows("Cardiomegaly|Emphysema", TRAIN),
            "images_001/images/00000002_000.png": shows("No Finding", TRAIN),
            "images_002/images/00000013_005.png": shows("Emphysema", (None, "test")),
        },
        says=("Data_Entry_2017.csv", "Finding Labels"),
    ),
    "chest-xray-pneumonia: the whole of it given twice": Case(
        {
            **classes("chest_xray/train/{label}/IM-{number}.jpeg", ("NORMAL", "PNEUMONIA"), "train"),
            **classes("chest_xray/val/{label}/IM-1{number}.jpeg", ("NORMAL", "PNEUMONIA"), "valid"),
            **classes("chest_xray/test/{label}/IM-2{number}.jpeg", ("NORMAL", "PNEUMONIA"), "test"),
            "chest_xray/chest_xray/train/NORMAL/IM-0.jpeg": shows(
                "NORMAL", "train", "chest_xray/train/NORMAL/IM-0.jpeg"
            ),
            "chest_xray/chest_xray/train/PNEUMONIA/IM-1.jpeg": shows(
                "PNEUMONIA", "train", "chest_xray/train/PNEUMONIA/IM-1.jpeg"
            ),
            "chest_xray/chest_xray/val/NORMAL/IM-10.jpeg": shows("NORMAL", "valid", "chest_xray/val/NORMAL/IM-10.jpeg"),
            "chest_xray/chest_xray/test/NORMAL/IM-20.jpeg": shows(
                "NORMAL", "test", "chest_xray/test/NORMAL/IM-20.jpeg"
            ),
            "chest_xray/chest_xray/.DS_Store": "Bud1",
            "chest_xray/__MACOSX/chest_xray/._train": "Mac OS X",
        },
        says=("twice",),
    ),
    "brain tumours: yes and no, given twice": Case(
        {
            **classes("{label}/Y{number}.jpg", ("yes", "no")),
            "brain_tumor_dataset/yes/Y0.jpg": shows("yes", same="yes/Y0.jpg"),
            "brain_tumor_dataset/yes/Y1.jpg": shows("yes", same="yes/Y1.jpg"),
            "brain_tumor_dataset/no/Y0.jpg": shows("no", same="no/Y0.jpg"),
            "brain_tumor_dataset/no/Y1.jpg": shows("no", same="no/Y1.jpg"),
        }
    ),
    "malaria: class folders given twice, with Thumbs.db": Case(
        {
            **classes("cell_images/{label}/C{number}.png", ("Parasitized", "Uninfected")),
            "cell_images/cell_images/Parasitized/C0.png": shows("Parasitized", same="cell_images/Parasitized/C0.png"),
            "cell_images/cell_images/Parasitized/C1.png": shows("Parasitized", same="cell_images/Parasitized/C1.png"),
            "cell_images/cell_images/Uninfected/C0.png": shows("Uninfected", same="cell_images/Uninfected/C0.png"),
            "cell_images/cell_images/Uninfected/C1.png": shows("Uninfected", same="cell_images/Uninfected/C1.png"),
            "cell_images/Uninfected/Thumbs.db": "\0",
        }
    ),
}

FOLDERS = {
    "cats and dogs in training_set/training_set": Case(
        {
            **classes("training_set/training_set/{label}/{label}.30{number}.jpg", ("cats", "dogs"), "train", 3),
            **classes("test_set/test_set/{label}/{label}.31{number}.jpg", ("cats", "dogs"), "test", 3),
        }
    ),
    "Intel scenes: seg_train/seg_train, and seg_pred without classes": Case(
        {
            **classes("seg_train/seg_train/{label}/{number}.jpg", ("street", "forest"), "train"),
            **classes("seg_test/seg_test/{label}/2{number}.jpg", ("street", "forest"), "test"),
            **each("seg_pred/seg_pred/{}.jpg", NUMBERS, shows()),
        },
        says=("seg_pred",),
    ),
    "fruits-360: Training, Test, fruits together, papers": Case(
        {
            **classes("fruits-360/Training/{label}/{number}_100.jpg", ("Apple Braeburn", "Kiwi"), "train"),
            **classes("fruits-360/Test/{label}/3{number}_100.jpg", ("Apple Braeburn", "Kiwi"), "test"),
            **each("fruits-360/test-multiple_fruits/apple_{}.jpg", NUMBERS, shows()),
            "fruits-360/papers/fruits.pdf": "%PDF",
            "fruits-360/LICENSE": "CC",
            "fruits-360/readme.md": "# Fruits",
        },
        says=("test-multiple_fruits",),
    ),
    "GTSRB: numbers as classes, tables, and a folder of icons": Case(
        {
            "Train.csv": rows(
                GTSRB, "27,26,5,5,22,20,20,Train/20/00020_0.png", "28,27,5,6,23,22,0,Train/0/00000_0.png"
            ),
            "Test.csv": rows(GTSRB, "53,54,6,5,48,49,0,Test/00000.png", "42,45,5,5,36,40,20,Test/00001.png"),
            "Meta.csv": rows("Path,ClassId,ShapeId,ColorId,SignId", "Meta/20.png,20,0,0,1.23", "Meta/0.png,0,1,0,3.29"),
            "Train/20/00020_0.png": shows("20", "train"),
            "Train/0/00000_0.png": shows("0", "train"),
            "Test/00000.png": shows("0", "test"),
            "Test/00001.png": shows("20", "test"),
            "Meta/20.png": shows(("20", None), TRAIN),
            "Meta/0.png": shows(("0", None), TRAIN),
        },
        says=("Test.csv",),
    ),
    "GTSRB of the university: a table in each class folder, names that recur, another ending": Case(
        {
            **{
                f"GTSRB/Final_Training/Images/0000{label}/GT-0000{label}.csv": rows(
                    "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId",
                    f"00000_00000.ppm;29;30;5;6;24;25;{label}",
                    f"00000_00001.ppm;30;30;5;5;25;25;{label}",
                )
                for label in (0, 1)
            },
            **each("GTSRB/Final_Training/Images/00000/00000_0000{}.png", NUMBERS, shows(("0", "00000"), TRAIN)),
            **each("GTSRB/Final_Training/Images/00001/00000_0000{}.png", NUMBERS, shows(("1", "00001"), TRAIN)),
            "GTSRB/Readme-Images.txt": "German traffic signs",
        }
    ),
    "dogs and cats loose in train: the class is in the names": Case(
        {
            **each("train/cat.{}.jpg", NUMBERS, shows(("cat", None), TRAIN)),
            **each("train/dog.{}.jpg", NUMBERS, shows(("dog", None), TRAIN)),
            **each("test1/{}.jpg", (1, 2), shows()),
            "sampleSubmission.csv": rows("id,label", "1,0", "2,0"),
        },
        says=("regex",),
    ),
    "Oxford flowers: labels in a .mat file": Case(
        {
            **each("jpg/image_0000{}.jpg", (1, 2, 3), shows()),
            "imagelabels.mat": b"MATLAB 5.0 MAT-file",
            "setid.mat": b"MATLAB 5.0 MAT-file",
        },
        says=("imagelabels.mat",),
    ),
    "Oxford pets: images, annotations, masks": Case(
        {
            "annotations/list.txt": rows("#Image CLASS-ID SPECIES BREED ID", "Abyssinian_1 1 1 1", "pug_7 26 2 20"),
            "annotations/trainval.txt": rows("Abyssinian_1 1 1 1"),
            "annotations/xmls/Abyssinian_1.xml": "<annotation/>",
            "images/Abyssinian_1.jpg": shows(("Abyssinian", "1", None), ANY),
            "images/pug_7.jpg": shows(("pug", "26", None), ANY),
            "annotations/trimaps/Abyssinian_1.png": shows(("Abyssinian", "1", None), ANY),
            "annotations/trimaps/pug_7.png": shows(("pug", "26", None), ANY),
        },
        says=("regex",),
    ),
    "Stanford dogs: images/Images beside annotations/Annotation": Case(
        {
            **classes("images/Images/{label}/n_{number}.jpg", ("n02085620-Chihuahua", "n02085782-Japanese_spaniel")),
            "annotations/Annotation/n02085620-Chihuahua/n_0": "<annotation/>",
            "annotations/Annotation/n02085782-Japanese_spaniel/n_0": "<annotation/>",
        }
    ),
    "Caltech 256: numbers before names": Case(
        classes("256_ObjectCategories/{label}/001_{number}.jpg", ("001.ak47", "002.american-flag", "257.clutter"))
    ),
    "Caltech birds: lists, attributes and parts beside images": Case(
        {
            **classes("CUB_200_2011/images/{label}/B_{number}.jpg", ("001.Black_footed_Albatross", "002.Laysan"), ANY),
            "CUB_200_2011/images.txt": rows("1 001.Black_footed_Albatross/B_0.jpg", "2 002.Laysan/B_0.jpg"),
            "CUB_200_2011/classes.txt": rows("1 001.Black_footed_Albatross", "2 002.Laysan"),
            "CUB_200_2011/image_class_labels.txt": rows("1 1", "2 2"),
            "CUB_200_2011/attributes/attributes.txt": rows("1 has_bill_shape::curved"),
            "CUB_200_2011/parts/parts.txt": rows("1 back"),
            "attributes.txt": rows("1 has_bill_shape::curved"),
        }
    ),
    "Food-101: images and meta": Case(
        {
            **classes("food-101/images/{label}/10056{number}.jpg", ("apple_pie", "baby_back_ribs"), ANY),
            "food-101/meta/classes.txt": rows("apple_pie", "baby_back_ribs"),
            "food-101/meta/labels.txt": rows("Apple pie", "Baby back ribs"),
            "food-101/meta/train.txt": rows("apple_pie/100560", "baby_back_ribs/100560"),
            "food-101/meta/test.txt": rows("apple_pie/100561", "baby_back_ribs/100561"),
            "food-101/meta/train.json": '{"apple_pie": ["apple_pie/100560"]}',
            "food-101/README.txt": "101",
        }
    ),
    "tiny-imagenet: folders called images, a list for val": Case(
        {
            "wnids.txt": rows(*WNIDS),
            "words.txt": rows("n01443537\tgoldfish, Carassius auratus", "n01629819\tEuropean fire salamander"),
            **classes("train/{label}/images/{label}_{number}.JPEG", WNIDS, TRAIN),
            **each("train/{0}/{0}_boxes.txt", WNIDS, rows("n_0.JPEG\t0\t10\t63\t58")),
            "val/val_annotations.txt": rows(
                "val_0.JPEG\tn01443537\t0\t32\t44\t62", "val_1.JPEG\tn01629819\t52\t55\t57\t59"
            ),
            "val/images/val_0.JPEG": shows((WNIDS[0], None), (None, "valid")),
            "val/images/val_1.JPEG": shows((WNIDS[1], None), (None, "valid")),
            **each("test/images/test_{}.JPEG", NUMBERS, shows()),
        }
    ),
    "birds: folders and a table that say the same": Case(
        {
            "birds.csv": rows(
                "class id,filepaths,labels,data set,scientific name",
                "0.0,train/ABBOTTS BABBLER/000.jpg,ABBOTTS BABBLER,train,MALACOCINCLA ABBOTTI",
                "1.0,train/SNOWY OWL/000.jpg,SNOWY OWL,train,BUBO SCANDIACUS",
            ),
            **classes("train/{label}/00{number}.jpg", ("ABBOTTS BABBLER", "SNOWY OWL"), "train"),
            **classes("valid/{label}/{number}.jpg", ("ABBOTTS BABBLER", "SNOWY OWL"), "valid"),
            **classes("test/{label}/{number}.jpg", ("ABBOTTS BABBLER", "SNOWY OWL"), "test"),
        }
    ),
    "PetImages: empty files, Thumbs.db, a Word document": Case(
        {
            **classes("PetImages/{label}/{number}.jpg", ("Cat", "Dog")),
            "PetImages/Cat/666.jpg": b"",
            "PetImages/Dog/Thumbs.db": "\0",
            "MSR-LA - 3467.docx": b"PK\3\4",
            "readme[1].txt": "Cats and dogs",
        }
    ),
    "rock, paper, scissors: wrapped, and sets with names of their own": Case(
        {
            **classes("rps/rps/{label}/{label}0{number}.png", ("rock", "paper"), ANY),
            **classes("rps-test-set/rps-test-set/{label}/t0{number}.png", ("rock", "paper"), ANY),
        }
    ),
    "Simpsons: a set given twice, and a test set without classes": Case(
        {
            **classes("simpsons_dataset/{label}/pic_{number}.jpg", ("homer_simpson", "lisa_simpson"), ANY),
            "simpsons_dataset/simpsons_dataset/homer_simpson/pic_0.jpg": shows(
                "homer_simpson", ANY, "simpsons_dataset/homer_simpson/pic_0.jpg"
            ),
            "simpsons_dataset/simpsons_dataset/lisa_simpson/pic_1.jpg": shows(
                "lisa_simpson", ANY, "simpsons_dataset/lisa_simpson/pic_1.jpg"
            ),
            **each("kaggle_simpson_testset/homer_simpson_{}.jpg", NUMBERS, shows()),
            "annotation.txt": "./characters/homer_simpson/pic_0.jpg,57,72,52,72,homer_simpson",
        },
        says=("kaggle_simpson_testset",),
    ),
    "PlantVillage: the same plants in colour, grey and cut out": Case(
        {
            **each("grayscale/Apple___healthy/{}.jpg", NUMBERS, shows(("Apple___healthy", "grayscale"))),
            **each("grayscale/Corn___rust/{}.jpg", NUMBERS, shows(("Corn___rust", "grayscale"))),
            **each("color/Apple___healthy/{}.jpg", NUMBERS, shows(("Apple___healthy", "color"))),
            **each("color/Corn___rust/{}.jpg", NUMBERS, shows(("Corn___rust", "color"))),
        },
        asks=True,
    ),
    "a box for objects: images and labels as text files": Case(
        {
            **each("images/train/{}.jpg", NUMBERS, shows(None, ANY)),
            **each("images/val/{}.jpg", (3, 4), shows(None, ANY)),
            **each("labels/train/{}.txt", NUMBERS, rows("0 0.5 0.5 0.2 0.2")),
            "data.yaml": "names: [cat, dog]",
        }
    ),
    "split folders of other names, and one without labels": Case(
        {
            **classes("Train/{label}/{number}.jpg", ("a", "b"), "train"),
            **classes("Eval/{label}/1{number}.jpg", ("a", "b"), "valid"),
            **classes("holdout/{label}/2{number}.jpg", ("a", "b"), "test"),
            **each("unlabeled/{}.jpg", NUMBERS, shows()),
        },
        says=("unlabeled",),
    ),
    "train2017 and val2017": Case(
        {
            **classes("train2017/{label}/{number}.jpg", ("a", "b"), "train"),
            **classes("val2017/{label}/1{number}.jpg", ("a", "b"), "valid"),
        }
    ),
    "val2 and test_images, in a wrapper": Case(
        {
            **classes("data set/train/{label}/{number}.jpg", ("a", "b"), "train"),
            **classes("data set/val2/{label}/1{number}.jpg", ("a", "b"), "valid"),
            **classes("data set/test_images/{label}/2{number}.jpg", ("a", "b"), "test"),
        }
    ),
    "a zip within whose wrapper two splits lie, and what Macs add": Case(
        {
            **classes("pets/train/{label}/{number}.jpg", ("cat", "dog"), "train"),
            **classes("pets/test/{label}/1{number}.jpg", ("cat", "dog"), "test"),
            "__MACOSX/pets/train/cat/._0.jpg": LEFT_OUT,
            "pets/.DS_Store": "Bud1",
        }
    ),
}
